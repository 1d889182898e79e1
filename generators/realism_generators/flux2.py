"""FLUX.2 and FLUX.2 Klein by Black Forest Labs: any number of references, as further image tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.base.cut_texts import token_counts
from realism.data.types import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.references import fit_within


@dataclass
class BaseFlux2(DiffusersGenerator):
    """What FLUX.2 and Klein share. A reference keeps its proportions and has at most as many pixels as the picture."""

    reference_mechanism: ClassVar[str] = "image tokens"
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "references"
    max_references = 4

    max_sequence_length: Annotated[int, Ge(1), Le(512)] = 512
    """Tokens of the prompt that are read; longer prompts are cut."""
    guidance: Annotated[float, Ge(0)] = 4.0
    """How closely the prompt is followed; distilled models take no notice of it."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "prompt": [request.text for request in requests],
            "guidance_scale": 1.0 if self.pipeline.config.get("is_distilled") else self.guidance,
            "max_sequence_length": self.max_sequence_length,
        }
        if requests[0].references:  # the pipeline refuses sides under 64 and proportions above 8
            arguments["image"] = [
                fit_within(image, width * height, shortest=64, longest_ratio=8) for image in requests[0].references
            ]
        return arguments


@dataclass
class Flux2(BaseFlux2):
    """FLUX.2: pictures from text, or from text and up to four references."""

    pipeline_class: ClassVar[str] = "Flux2Pipeline"

    model: str = "black-forest-labs/FLUX.2-dev"
    """A folder as diffusers saves it, or a hub id."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        from diffusers.pipelines.flux2.pipeline_flux2 import format_input

        chats = format_input(list(texts), self.pipeline.system_message)
        return self.max_sequence_length, chat_counts(self.pipeline.tokenizer, chats)


@dataclass
class Flux2Klein(BaseFlux2):
    """FLUX.2 Klein, the small one: pictures from text, or from text and up to four references."""

    pipeline_class: ClassVar[str] = "Flux2KleinPipeline"

    model: str = "black-forest-labs/FLUX.2-klein-4B"
    """A folder as diffusers saves it, or a hub id."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 4
    """Denoising steps; 4 is what the distilled models were made for, base models need about 50."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        chats = [[{"role": "user", "content": text}] for text in texts]
        options = {"add_generation_prompt": True, "enable_thinking": False}
        return self.max_sequence_length, chat_counts(self.pipeline.tokenizer, chats, **options)


def chat_counts(processor: Any, chats: Sequence[Any], **options: Any) -> list[int]:
    """How many tokens each chat has by the chat template of a processor or tokenizer."""
    texts = [processor.apply_chat_template(chat, tokenize=False, **options) for chat in chats]
    return token_counts(getattr(processor, "tokenizer", processor), texts)
