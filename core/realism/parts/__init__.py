"""The families of parts: one short abstract class each. A class is abstract or final; a part overrides nothing."""

from realism.parts.base import Part, parts_of
from realism.parts.generator import Generator
from realism.parts.language import Chat, LanguageModel
from realism.parts.metric import SetMetric
from realism.parts.retriever import ImageEncoder, Index, PixelEncoder, Projection, Retriever
from realism.parts.reward import DifferentiableReward, Output, Reward, Scores
from realism.parts.sources import Images, Prompts
from realism.parts.step import Composite, Step
from realism.parts.trainer import Trainer
from realism.parts.tunable import Tunable

__all__ = [
    "Chat",
    "Composite",
    "DifferentiableReward",
    "Generator",
    "ImageEncoder",
    "Images",
    "Index",
    "LanguageModel",
    "Output",
    "Part",
    "PixelEncoder",
    "Projection",
    "Prompts",
    "Retriever",
    "Reward",
    "Scores",
    "SetMetric",
    "Step",
    "Trainer",
    "Tunable",
    "parts_of",
]
