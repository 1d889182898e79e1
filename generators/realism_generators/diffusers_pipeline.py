"""What every generator of the diffusers library shares: loading, batches, seeds, memory.

A family is a subclass that says which pipeline class it drives, and how a batch of requests becomes the arguments of
that pipeline's call.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from realism.batching import Batches
from realism.devices import DType, pick_device, pick_dtype
from realism.models import find_model, local_folder
from realism.nouns import Request
from realism.parts import Generator

if TYPE_CHECKING:
    from PIL import Image

Pixels = Annotated[int, Ge(16)]


@dataclass
class DiffusersGenerator(Generator):
    """A pipeline of the diffusers library. Options that all of them have."""

    pipeline_class: ClassVar[str]
    """The name of the class in diffusers."""
    also_reads: ClassVar[tuple[str, ...]] = ()
    """Other pipeline classes whose model folders this one can use."""
    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device", "offload")

    model: str
    """A model that a plugin ships ("garden/flux"), a folder as diffusers saves it, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of the hub id; None is its main branch."""
    dtype: DType = "auto"
    """The arithmetic of the model: auto is float32 on the CPU, else bfloat16. Only in float32 is a picture the same, to
    1/255, in any batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    offload: Literal["none", "model", "sequential"] = "none"
    """What waits in main memory while a GPU works: nothing, the models not in use, or every layer (least, slowest)."""
    batch: Annotated[int, Ge(1)] | None = None
    """Images at a time; None is found by itself. Halved whenever memory runs out."""
    steps: Annotated[int, Ge(1)] = 28
    """Denoising steps."""
    size: Pixels | tuple[Pixels, Pixels] | None = None
    """Pixels: one number for a square, or [width, height]; None is what the model was made for."""

    @abstractmethod
    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        """The arguments of the pipeline's call for a batch, in which all requests have a reference or none has; all but
        the size, the steps and the random generators."""

    def inputs(self) -> list[Path]:
        folder = local_folder(self.model)
        return [folder] if folder else []

    def options_error(self) -> str | None:
        from realism_generators.loading import folder_error

        return folder_error(self.model, (self.pipeline_class, *self.also_reads))

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        """See `Generator.generate`. Noise is drawn on the CPU by one generator a request, so that neither the batch nor
        the device changes it."""
        made: dict[int, Image.Image] = {}
        for with_reference in (False, True):
            group = [i for i, r in enumerate(requests) if bool(self.max_references and r.references) == with_reference]
            images = self._batches.run(group, lambda batch: self._draw([requests[i] for i in batch]))
            made.update(zip(group, images, strict=True))
        return [made[i] for i in range(len(requests))]

    @cached_property
    def pipeline(self) -> Any:
        """The loaded pipeline, on its device. Raises RealismError in words when it cannot be had."""
        from realism_generators.loading import load_pipeline, place_pipeline

        device = pick_device(self.device)
        dtype = pick_dtype(self.dtype, device)
        source = find_model(self.model)
        pipeline = load_pipeline(self.pipeline_class, self.also_reads, source, revision=self.revision, dtype=dtype)
        return place_pipeline(pipeline, device, self.offload)

    @cached_property
    def width_height(self) -> tuple[int, int]:
        """Width and height of the pictures, in pixels, cut down to what the model can divide."""
        from realism_generators.loading import natural_size, size_multiple

        size = self.size if self.size is not None else natural_size(self.pipeline)
        width, height = (size, size) if isinstance(size, int) else size
        multiple = size_multiple(self.pipeline)
        return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)

    @cached_property
    def _batches(self) -> Batches:
        width, height = self.width_height
        return Batches(self.batch, start=min(64, max(1, 8 * 2**20 // (width * height))))

    def _draw(self, requests: Sequence[Request]) -> list[Image.Image]:
        import torch

        width, height = self.width_height
        seeds = [torch.Generator("cpu").manual_seed(request.seed) for request in requests]
        with torch.inference_mode():
            made = self.pipeline(
                **self.arguments(requests, width, height),
                width=width,
                height=height,
                num_inference_steps=self.steps,
                generator=seeds,
                output_type="pil",
            )
        return [image.convert("RGB") for image in made.images]
