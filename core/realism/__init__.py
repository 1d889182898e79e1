"""Make text-to-image models more realistic: any method's piece with any other's, in one recipe."""

from realism.base.errors import RealismError
from realism.data.types import Hit, Picture, Prompt, Record, Request
from realism.parts import (
    Chat,
    DifferentiableReward,
    Generator,
    Images,
    Index,
    LanguageModel,
    Output,
    Part,
    PixelEncoder,
    Prompts,
    Retriever,
    Reward,
    Scores,
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
    "Output",
    "Part",
    "Picture",
    "PixelEncoder",
    "Prompt",
    "Prompts",
    "RealismError",
    "Record",
    "Request",
    "Retriever",
    "Reward",
    "Scores",
    "SetMetric",
    "Step",
    "Trainer",
    "Tunable",
    "hook",
]
