"""The base of all generators that load a model: its files, batches of requests, its release."""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realism.base.batching import Batches
from realism.base.devices import DType
from realism.data.types import Request, Unmade
from realism.parts import Generator
from realism.plugins.models import local_folder

if TYPE_CHECKING:
    from PIL import Image


@dataclass
class ModelGenerator(Generator):
    """A generator that loads a model, with the options that all of them have."""

    pipeline_class: ClassVar[str]
    """The class that draws: its name in diffusers, in transformers, or in the model's own code."""
    speed_options: ClassVar[tuple[str, ...]] = ("device",)
    cached: ClassVar[tuple[str, ...]] = ("pipeline",)
    """The names of cached properties that `release` drops."""

    model: str
    """A model that a plugin ships ("garden/flux"), a folder, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of the hub id; None is its main branch."""
    dtype: DType = "auto"
    """The dtype of the model: auto is float32 on the CPU, else bfloat16. Only in float32 is a picture the same, to
    1/255, in any batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""

    @abstractmethod
    def load(self) -> Any:
        """The pipeline on its device. Raises RealismError if it cannot be loaded."""

    @abstractmethod
    def batches(self, references: int) -> Batches:
        """How many requests with that many references are drawn at a time."""

    @abstractmethod
    def draw(self, requests: Sequence[Request]) -> Sequence[Image.Image | Unmade]:
        """The pictures of one batch, whose requests have equally many references, none more than `max_references`."""

    def more_models(self) -> list[str]:
        """Further models that it loads: adapters, encoders."""
        return []

    def inputs(self) -> list[Path]:
        return [folder for name in (self.model, *self.more_models()) if (folder := local_folder(name))]

    def generate(self, requests: Sequence[Request]) -> list[Image.Image | Unmade]:
        """See `Generator.generate`. Requests with equally many references are drawn together."""
        cut = [replace(r, references=tuple(r.references[: self.max_references])) for r in requests]
        made: dict[int, Image.Image | Unmade] = {}
        for count in sorted({len(request.references) for request in cut}):
            group = [i for i, request in enumerate(cut) if len(request.references) == count]
            images = self.batches(count).run(group, lambda batch: self.draw([cut[i] for i in batch]))
            made.update(zip(group, images, strict=True))
        drawn = [made[i] for i in range(len(requests))]
        return [image if isinstance(image, Unmade) else image.convert("RGB") for image in drawn]

    @cached_property
    def pipeline(self) -> Any:
        """The loaded pipeline, on its device. Raises RealismError if it cannot be loaded."""
        return self.load()

    def release(self) -> None:
        cached = [self.__dict__.pop(name, None) for name in self.cached]
        if any(cached):
            import torch

            cached.clear()
            gc.collect()
            torch.cuda.empty_cache()
