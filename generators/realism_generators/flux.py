"""FLUX.1 by Black Forest Labs, and its Kontext, which takes a reference image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.nouns import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator


@dataclass
class BaseFlux(DiffusersGenerator):
    """What FLUX and Kontext share: both guidances and two text encoders."""

    guidance: Annotated[float, Ge(0)] = 3.5
    """The guidance that dev models were distilled with, at no cost; other models take no notice of it."""
    true_guidance: Annotated[float, Ge(1)] = 1.0
    """Classifier-free guidance away from `negative_prompt`: prediction = negative + true_guidance * (positive -
    negative). 1 is none; above, every step costs twice."""
    negative_prompt: str = ""
    """What pictures should not show; only used with true_guidance above 1."""
    max_sequence_length: Annotated[int, Ge(1), Le(512)] = 512
    """Tokens of the prompt that T5 reads; longer prompts are cut."""

    def prompt_arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The arguments that say what to draw."""
        arguments: dict[str, Any] = {
            "prompt": [request.prompt.text for request in requests],
            "guidance_scale": self.guidance,
            "max_sequence_length": self.max_sequence_length,
        }
        if self.true_guidance > 1:
            arguments["true_cfg_scale"] = self.true_guidance
            arguments["negative_prompt"] = [self.negative_prompt] * len(requests)
        return arguments


@dataclass
class Flux(BaseFlux):
    """FLUX.1: pictures from text. References are not used."""

    pipeline_class: ClassVar[str] = "FluxPipeline"
    also_reads: ClassVar[tuple[str, ...]] = ("FluxKontextPipeline",)
    max_references: ClassVar[int] = 0

    model: str = "black-forest-labs/FLUX.1-dev"
    """A model that a plugin ships ("garden/flux"), a folder as diffusers saves it, or a hub id."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        return self.prompt_arguments(requests)


@dataclass
class FluxKontext(BaseFlux):
    """FLUX.1 Kontext: pictures from text, or from text and one reference image. Labs et al. 2025, arXiv 2506.15742.

    The reference enters as further image tokens. It is cut in the middle to the proportions of the picture and scaled
    to its size, so that it does not depend on the batch (diffusers would take all proportions from the first).
    """

    pipeline_class: ClassVar[str] = "FluxKontextPipeline"
    max_references: ClassVar[int] = 1

    model: str = "black-forest-labs/FLUX.1-Kontext-dev"
    """A model that a plugin ships ("garden/flux"), a folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 2.5
    """The guidance that dev models were distilled with, at no cost; other models take no notice of it."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        from PIL import Image, ImageOps

        arguments = self.prompt_arguments(requests) | {"max_area": width * height, "_auto_resize": False}
        if requests[0].references:
            arguments["image"] = [
                ImageOps.fit(request.references[0].convert("RGB"), (width, height), Image.Resampling.LANCZOS)
                for request in requests
            ]
        return arguments
