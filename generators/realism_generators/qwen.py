"""Qwen-Image-Edit: references are read by the vision-language model and enter as image tokens. Arxiv 2508.02324."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from realism.base.cut_texts import token_counts
from realism.data.types import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.references import fit_within


@dataclass
class BaseQwenEdit(DiffusersGenerator):
    """What both kinds share. diffusers scales each reference to a million pixels, whatever the size of the picture."""

    reference_mechanism: ClassVar[str] = "image tokens and vision-language prompt"
    text_class: ClassVar[str] = "QwenImagePipeline"  # the editing pipelines insist on an image
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "references"

    true_guidance: Annotated[float, Ge(1)] = 4.0
    """Classifier-free guidance away from `negative_prompt`; 1 is none; above, every step costs twice."""
    negative_prompt: str = " "
    """What pictures should not show; only used with true_guidance above 1. A blank is the model's own default."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        pipeline = self.pipeline_for(with_reference=False)  # with references nothing is cut
        template, before = pipeline.prompt_template_encode, pipeline.prompt_template_encode_start_idx
        counts = token_counts(pipeline.tokenizer, [template.format(text) for text in texts])
        return pipeline.tokenizer_max_length, [count - before for count in counts]

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "prompt": [request.text for request in requests],
            "true_cfg_scale": self.true_guidance,
        }
        if self.true_guidance > 1:
            arguments["negative_prompt"] = [self.negative_prompt] * len(requests)
        if references := requests[0].references:
            images = [fit_within(image, 2**20, shortest=64, longest_ratio=8) for image in references]
            arguments["image"] = images if self.max_references > 1 else images[0]
        return arguments


@dataclass
class QwenImageEdit(BaseQwenEdit):
    """Qwen-Image-Edit, the first: pictures from text, or from text and one reference."""

    pipeline_class: ClassVar[str] = "QwenImageEditPipeline"
    max_references = 1

    model: str = "Qwen/Qwen-Image-Edit"
    """A folder as diffusers saves it, or a hub id."""


@dataclass
class QwenImageEditPlus(BaseQwenEdit):
    """Qwen-Image-Edit 2509 and later: pictures from text, or from text and up to three references."""

    pipeline_class: ClassVar[str] = "QwenImageEditPlusPipeline"
    max_references = 3

    model: str = "Qwen/Qwen-Image-Edit-2509"
    """A folder as diffusers saves it, or a hub id."""
