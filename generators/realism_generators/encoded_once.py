"""Each text and picture of a fit is encoded once, at the start, and cached in the fit's folder."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from realism.base.errors import RealismError
from realism.base.files import digest, fingerprint_listing
from realism.base.images import UnreadableImage, read_images

from realism_generators.references import as_pixels, crop_to_size
from realism_generators.tensor_rows import TensorRows, write_rows
from realism_generators.tuning import LoRATunable, Tensors, modules

Encode = Callable[[], Iterator[Tensors]]


class EncodedOnce:
    """What a network is trained on: the conditions of texts, and pictures as encoded by the autoencoder.

    Encoders are on the device only while they encode. The names of cached files are a hash of all that they depend
    on, so that a resumed fit finds them; memory does not grow with the number of texts and pictures.
    """

    def __init__(
        self,
        generator: LoRATunable,
        texts: Sequence[str],
        pictures: Sequence[Path],
        *,
        size: tuple[int, int],
        flip: bool,
        unconditional: bool,
        batch: int,
        folder: Path,
        device: torch.device,
    ):
        """size: width and height in pixels. flip: also encode pictures mirrored. unconditional: also encode the
        conditions of no text. batch: how many are encoded at a time. Raises UnreadableImage for a picture that cannot
        be read."""
        self._generator, self._size, self._batch, self._device = generator, size, batch, device
        self._unconditional = unconditional
        self._texts = {text: k for k, text in enumerate(dict.fromkeys(texts))}
        self._pictures = {path: k for k, path in enumerate(dict.fromkeys(pictures))}
        self._mirrored = (False, True) if flip else (False,)
        files = [(str(path), fingerprint_listing(path)) for path in self._pictures]
        self._folders = (
            folder / f"texts-{digest([self._settings(), unconditional, *self._texts])}",
            folder / f"pictures-{digest([self._settings(), size, flip, files])}",
        )
        self._encoded = (
            self._cached(self._folders[0], self._encode_texts),
            self._cached(self._folders[1], self._encode_pictures),
        )

    def conditions(self, texts: Sequence[str | None], device: torch.device) -> dict[str, torch.Tensor]:
        """Conditions (b, ...) of texts, as `LoRATunable.condition` gives them; None is no text, with the conditions
        of `LoRATunable.unconditional`."""
        rows = [len(self._texts) if text is None else self._texts[text] for text in texts]
        return self._encoded[0].rows(rows, device)

    def pictures(
        self, paths: Sequence[Path], mirrored: Sequence[bool], device: torch.device
    ) -> dict[str, torch.Tensor]:
        """Pictures (b, ...), mirrored or not, as `LoRATunable.encode` gives them."""
        copies = len(self._mirrored)
        rows = [copies * self._pictures[path] + side for path, side in zip(paths, mirrored, strict=True)]
        return self._encoded[1].rows(rows, device)

    def delete(self) -> None:
        """Delete the cached files."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _settings(self) -> list[Any]:
        """What the encoding depends on besides texts and pictures."""
        generator = self._generator
        length = getattr(generator, "max_sequence_length", None)
        models = [fingerprint_listing(folder) for folder in generator.inputs()]
        return [
            generator.pipeline_class,
            generator.model,
            generator.revision,
            models,
            str(generator.torch_dtype),
            length,
        ]

    def _cached(self, folder: Path, encode: Encode) -> TensorRows:
        if not folder.exists():
            write_rows(folder, encode())
        return TensorRows(folder)

    def _encode_texts(self) -> Iterator[Tensors]:
        generator, texts = self._generator, list(self._texts)
        encoders = {k: part for k, part in modules(generator.pipeline).items() if k.startswith("text_encoder")}
        generator.note_cut(texts)
        with _on_device(list(encoders.values()), self._device):
            for k in range(0, len(texts), self._batch):
                yield generator.condition(texts[k : k + self._batch])
            if self._unconditional:
                yield generator.unconditional()

    def _encode_pictures(self) -> Iterator[Tensors]:
        generator, paths = self._generator, list(self._pictures)
        images = read_images(paths)
        with _on_device([generator.autoencoder], self._device):
            for k in range(0, len(paths), self._batch):
                count = len(paths[k : k + self._batch])
                pixels = as_pixels([crop_to_size(_readable(next(images)), *self._size) for _ in range(count)])
                encoded = [generator.encode(pixels.flip(-1) if side else pixels) for side in self._mirrored]
                yield {name: torch.stack([each[name] for each in encoded], 1).flatten(0, 1) for name in encoded[0]}
        generator.__dict__.pop("autoencoder")  # frees a copy in float32


@contextlib.contextmanager
def _on_device(parts: Sequence[torch.nn.Module], device: torch.device) -> Iterator[None]:
    """Modules are on a device until the block ends, then on the CPU."""
    for part in parts:
        part.to(device)
    try:
        yield
    finally:
        for part in parts:
            part.to("cpu")


def _readable(image: Image.Image | UnreadableImage) -> Image.Image:
    if isinstance(image, RealismError):
        raise image
    return image
