"""The families of parts: one short abstract class each. A class is abstract or final; a part overrides nothing."""

from realism.parts.base import Part, parts_of
from realism.parts.generator import Generator
from realism.parts.language import Chat, LanguageModel
from realism.parts.metric import SetMetric
from realism.parts.retriever import Index, PixelEncoder, Projection, Retriever
from realism.parts.reward import BaseReward, DifferentiableReward, ReferenceReward, Reward
from realism.parts.sources import Images, Prompts
from realism.parts.step import Composite, Step
from realism.parts.trainer import Trainer
from realism.parts.tunable import Tunable

__all__ = [
    "BaseReward",
    "Chat",
    "Composite",
    "DifferentiableReward",
    "Generator",
    "Images",
    "Index",
    "LanguageModel",
    "Part",
    "PixelEncoder",
    "Projection",
    "Prompts",
    "ReferenceReward",
    "Retriever",
    "Reward",
    "SetMetric",
    "Step",
    "Trainer",
    "Tunable",
    "parts_of",
]
