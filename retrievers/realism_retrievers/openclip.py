"""Any model of the OpenCLIP library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.cut_texts import note_texts
from realism.base.devices import DType
from realism.parts import Index, PixelEncoder
from realism.plugins.models import local_folder

from realism_retrievers.prefetch import Prefetch

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from realism_retrievers.loading import Loaded


@dataclass
class OpenClip(PixelEncoder):
    """A dual encoder of the OpenCLIP library: CLIP, SigLIP, EVA and others."""

    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device", "workers")

    model: str = "ViT-B-32/laion2b_s34b_b79k"
    """A model that a plugin ships ("garden/clip"), a folder with open_clip_config.json and safetensors, an OpenCLIP
    name and its weights ("ViT-B-32/laion2b_s34b_b79k"), or "hf-hub:owner/name"."""
    dtype: DType = "float32"
    """The arithmetic of the model; auto is float32 on the CPU, else bfloat16. In anything but float32 a row depends a
    little on its batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Images or texts at a time; None is found by itself. Halved whenever memory runs out."""
    workers: Annotated[int, Ge(1), Le(256)] = 4
    """Threads that scale and crop images while the model works."""
    index: Index = "auto"  # type: ignore[assignment]
    """What searches the images it has encoded."""

    def inputs(self) -> list[Path]:
        folder = local_folder(self.model.removeprefix("local-dir:"))
        return [folder] if folder else []

    def options_error(self) -> str | None:
        from realism_retrievers.loading import model_error

        return model_error(self.model)

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """See `Retriever.encode_images`. Threads prepare the next images while the model works on a batch."""
        loaded = self._loaded
        size = self._batches.size
        with Prefetch(images, loaded.pixels, self.workers, ahead=2 * size) as pixels:
            rows = self._batches.run(range(len(images)), lambda batch: loaded.image_rows(pixels.take(batch)))
        return loaded.stack(rows)

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `PixelEncoder.encode_pixels`; whole, as a gradient keeps what it went through in memory anyway.

        Raises RealismError for a model whose images are not resized to a square."""
        return self._loaded.pixel_rows(pixels)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        loaded = self._loaded
        note_texts(self.part_name or self.model, loaded.tokenizer.context_length, texts, loaded.longer(texts), "texts")
        return loaded.stack(self._batches.run(list(texts), loaded.text_rows))

    def preprocessing(self) -> str:
        """How an image becomes the model's input, for the report: "resize shortest bicubic to 224 x 224, ..."."""
        return self._loaded.preprocessing

    def release(self) -> None:
        self.__dict__.pop("_loaded", None)

    @cached_property
    def _loaded(self) -> Loaded:
        from realism_retrievers.loading import load

        return load(self.model, self.device, self.dtype)

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.batch, start=256 if self._loaded.device.type == "cuda" else 32)
