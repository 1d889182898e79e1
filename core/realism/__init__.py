"""Make text-to-image models more realistic: any method's piece with any other's, in one recipe."""

from realism.base.errors import RealismError
from realism.data.types import Hit, Prompt, Record, Request
from realism.parts import (
    Chat,
    DifferentiableReward,
    Generator,
    Images,
    Index,
    LanguageModel,
    Part,
    PixelEncoder,
    Prompts,
    ReferenceReward,
    Retriever,
    Reward,
    SetMetric,
    Step,
    Trainer,
    Tunable,
)
from realism.plugins.hooks import hook

__all__ = [
    "Chat",
    "DifferentiableReward",
    "Generator",
    "Hit",
    "Images",
    "Index",
    "LanguageModel",
    "Part",
    "PixelEncoder",
    "Prompt",
    "Prompts",
    "RealismError",
    "Record",
    "ReferenceReward",
    "Request",
    "Retriever",
    "Reward",
    "SetMetric",
    "Step",
    "Trainer",
    "Tunable",
    "hook",
]
