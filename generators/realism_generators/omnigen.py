"""OmniGen: text and references in one sequence. Xiao et al. 2024, arXiv 2409.11340."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.data.types import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.references import fit_within


@dataclass
class OmniGen(DiffusersGenerator):
    """OmniGen: pictures from text, or from a prompt in which references stand between the words.

    A reference keeps its proportions and has at most as many pixels as the picture. Requests are drawn one at a time.
    """

    pipeline_class: ClassVar[str] = "OmniGenPipeline"
    reference_mechanism: ClassVar[str] = "interleaved prompt"
    # diffusers rotates the tokens of a whole batch by the positions of its first prompt
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "all"
    max_references = 3

    model: str = "Shitao/OmniGen-v1-diffusers"
    """A folder as diffusers saves it, or a hub id."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 50
    """Denoising steps."""
    guidance: Annotated[float, Ge(0)] = 2.5
    """Classifier-free guidance by the prompt."""
    image_guidance: Annotated[float, Ge(0)] = 1.6
    """Classifier-free guidance by the references."""
    interleaved: str = "The picture shows what is seen in {images}. {prompt}"
    """The prompt when there are references: {images} stands for them, {prompt} for the prompt's text."""

    def misfit(self) -> str | None:
        if "{images}" not in self.interleaved or "{prompt}" not in self.interleaved:
            return f"interleaved: '{self.interleaved}' must have both {{images}} and {{prompt}} in it"
        return None

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        # the pipeline would expect an image for each image tag in a prompt
        texts = [request.text.replace("<|image_", "<image_") for request in requests]
        arguments: dict[str, Any] = {"prompt": texts, "guidance_scale": self.guidance}
        if references := requests[0].references:
            tags = " ".join(f"<img><|image_{i}|></img>" for i in range(1, len(references) + 1))
            before, after = self.interleaved.split("{prompt}", 1)
            prompt = before.replace("{images}", tags) + texts[0] + after.replace("{images}", tags)
            images = [fit_within(image, width * height, shortest=16, longest_ratio=8) for image in references]
            arguments |= {"prompt": [prompt], "input_images": [images], "img_guidance_scale": self.image_guidance}
        return arguments
