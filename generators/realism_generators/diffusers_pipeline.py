"""The base of all generators of the diffusers library: loading, batches, seeds, memory.

A family is a subclass that names its pipeline class and turns a batch of requests into the arguments of that pipeline's
call.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.cut_texts import note_texts, token_counts
from realism.base.devices import pick_device, pick_dtype
from realism.data.types import Request, Unmade
from realism.plugins.models import find_model

from realism_generators.model_generator import ModelGenerator

if TYPE_CHECKING:
    from PIL import Image

SideLength = Annotated[int, Ge(16), Le(16_384)]


@dataclass
class DiffusersGenerator(ModelGenerator):
    """A pipeline of the diffusers library. Options that all of them have."""

    also_reads: ClassVar[tuple[str, ...]] = ()
    """Other pipeline classes whose model folders this one can use."""
    text_class: ClassVar[str] = ""
    """The class in diffusers for requests without references, if it is another, on the same components."""
    reference_class: ClassVar[str] = ""
    """The class in diffusers for requests with references, if it is another. At most one of the two is set."""
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "none"
    """Which requests are drawn one at a time, because the pipeline would mix them in a batch: `references` is those
    that have any, where it would give each reference to the whole batch."""
    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device", "offload")
    cached: ClassVar[tuple[str, ...]] = ("pipeline", "other_pipeline")

    offload: Literal["none", "model", "sequential"] = "none"
    """What is in main memory while a GPU computes: nothing, the models not in use, or every layer (least GPU memory,
    slowest)."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Images at a time; None is chosen automatically. Halved whenever memory runs out."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 28
    """Denoising steps."""
    size: SideLength | tuple[SideLength, SideLength] | None = None
    """Pixels: one number for a square, or [width, height]; None is the model's default."""

    @abstractmethod
    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        """The arguments of the pipeline's call for a batch, whose requests have equally many references; all but the
        size, the steps and the random generators."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        """The most tokens of a prompt that are read, and the number of tokens of each text, by the text encoder that
        reads most."""
        tokenizer = self.pipeline.tokenizer
        return tokenizer.model_max_length, token_counts(tokenizer, texts)

    def note_cut(self, texts: Sequence[str]) -> None:
        """Count the prompts that are cut, for a warning when the step ends."""
        most, lengths = self.lengths(texts)
        note_texts(self.part_name or self.pipeline_class, most, texts, [length > most for length in lengths])

    def setup(self, pipeline: Any) -> None:
        """Add components that are not in its folder to a loaded pipeline, which is still on the CPU."""

    def remove_setup(self, pipeline: Any) -> None:
        """Remove what `setup` added to a loaded pipeline."""

    def misfit(self) -> str | None:
        """One sentence if the options of this family do not fit together, else None."""
        return None

    def options_error(self) -> str | None:
        from realism_generators.loading import folder_error

        return folder_error(self.model, (self.pipeline_class, *self.also_reads)) or self.misfit()

    def load(self) -> Any:
        from realism_generators.loading import load_pipeline, place_pipeline

        device = pick_device(self.device)
        dtype = pick_dtype(self.dtype, device)
        source = find_model(self.model)
        pipeline = load_pipeline(self.pipeline_class, self.also_reads, source, revision=self.revision, dtype=dtype)
        self.setup(pipeline)
        return place_pipeline(pipeline, device, self.offload)

    def batches(self, references: int) -> Batches:
        alone = self.one_by_one == "all" or (self.one_by_one == "references" and references)
        return Batches(1) if alone else self._batches

    def draw(self, requests: Sequence[Request]) -> list[Image.Image | Unmade]:
        """See `ModelGenerator.draw`. Noise is drawn on the CPU by one generator a request, so that neither batch nor
        device changes it."""
        import torch

        from realism_generators.loading import seeded
        from realism_generators.withheld import NOT_FINITE, WITHHELD, decoded, not_finite

        self.note_cut([request.text for request in requests])
        width, height = self.width_height
        general = {
            "width": width,
            "height": height,
            "num_inference_steps": self.steps,
            "generator": [torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            "output_type": "pil",
        }
        pipeline = self.pipeline_for(bool(requests[0].references))
        # some pipelines use torch's global generator while they encode a reference, one request at a time
        with torch.inference_mode(), seeded(requests[0].seed), decoded(pipeline) as finite:
            output = pipeline(**(general | self.arguments(requests, width, height)))
        flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(requests)
        broken = not_finite(finite, len(requests))
        return [
            Unmade(NOT_FINITE) if bad else Unmade(WITHHELD) if unsafe else image
            for image, unsafe, bad in zip(output.images, flagged, broken, strict=True)
        ]

    def pipeline_for(self, with_reference: bool) -> Any:
        """The pipeline that draws requests with, or without, references."""
        name = self.reference_class if with_reference else self.text_class
        return self.other_pipeline if name else self.pipeline

    @cached_property
    def other_pipeline(self) -> Any:
        """The pipeline of `text_class` or `reference_class`, on the components of the one that was loaded."""
        from realism_generators.loading import place_pipeline, same_components

        other = same_components(self.text_class or self.reference_class, self.pipeline)
        return place_pipeline(other, pick_device(self.device), self.offload)

    @cached_property
    def width_height(self) -> tuple[int, int]:
        """Width and height of the pictures, in pixels, cut down to what the model can divide."""
        from realism_generators.loading import fitting_size

        return fitting_size(self.pipeline, self.size)

    @cached_property
    def _batches(self) -> Batches:
        width, height = self.width_height
        return Batches(self.batch, start=min(64, max(1, 8 * 2**20 // (width * height))))
