"""What people have at hand, as what parts take: images of any kind, texts, seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError, shown
from realism.base.files import user_path
from realism.data.types import Hit, Prompt, Record

if TYPE_CHECKING:
    from PIL import Image

ACCEPTED = (
    "an image of Pillow, a path, an array (h, w, 3), a tensor (3, h, w) or a hit of a search, or several of these"
)


def images_of(given: Any) -> list[Any]:
    """RGB images of Pillow: one or several, each an image, a path, an array (h, w, 3) or (h, w), a tensor (3, h, w), or
    a hit of a search; arrays (n, h, w, 3), tensors (n, 3, h, w), a column of a data frame, and a folder, for all images
    below it, are several. Numbers are bytes, or floats in [0, 1].

    Raises RealismError for anything else, and for what cannot be read."""
    from PIL import Image

    from realism.base.images import read_image

    if isinstance(given, Image.Image):
        return [_from_pillow(given)]
    if isinstance(given, str | Path):
        path = user_path(str(given))
        return [read_image(file) for file in _in_folder(path)] if path.is_dir() else [read_image(path)]
    if isinstance(given, Hit | Record):
        return [read_image(given.record.path if isinstance(given, Hit) else given.path)]
    if getattr(given, "ndim", 0) == 1:  # a column of paths
        return images_of(list(given))
    if hasattr(given, "ndim"):
        return [_from_numbers(one) for one in (given if given.ndim == 4 else [given])]
    if isinstance(given, Sequence):
        return [image for one in given for image in images_of(one)]
    raise RealismError(f"{shown(given)} is no image; expected {ACCEPTED}")


def prompts_of(given: Any, count: int | None = None) -> list[Prompt]:
    """Prompts of texts or prompts, one or several. count: how many there should be; one is taken for all."""
    several = list(given) if is_several(given) else [given]
    made = [one if isinstance(one, Prompt) else _prompt(one, i) for i, one in enumerate(several)]
    made = made * count if count is not None and len(made) == 1 else made
    if count is not None and len(made) != count:
        raise RealismError(f"{len(made)} prompts for {count} images; give one for each, or one for all")
    return made


def is_several(prompts: Any) -> bool:
    """Whether these are several prompts (a list, a column of a data frame), or one."""
    return isinstance(prompts, Iterable) and not isinstance(prompts, str)


def _prompt(text: Any, number: int) -> Prompt:
    if not isinstance(text, str):
        raise RealismError(f"{shown(text)} is no prompt; expected a text, or a list of texts")
    return Prompt(f"{number:05d}", text)


def _in_folder(folder: Path) -> list[Path]:
    from realism.sources.image_folder import ImageFolder

    return [record.path for record in ImageFolder(str(folder)).records()]


def _from_pillow(image: Image.Image) -> Image.Image:
    """As `realism.base.images.read_image` gives an image of a file: transparency on white, 16 bits scaled to 8."""
    from realism.base.modes import flat

    if not image.width or not image.height:
        raise RealismError(f"an image of {image.width} x {image.height} pixels has none")
    return flat(image).convert("RGB")


def _from_numbers(given: Any) -> Any:
    import numpy as np
    from PIL import Image

    first = hasattr(given, "detach")  # a tensor has its channels first
    values = given.detach().cpu().float().numpy() if first and given.is_floating_point() else np.asarray(given)
    if first and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3)):
        raise RealismError(f"an array of shape {values.shape} is no image; expected {ACCEPTED}")
    if not values.size:
        raise RealismError(f"an image of shape {values.shape} has no pixel")
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and values.min(initial=0) >= 0 and values.max(initial=0) <= 1):
            raise RealismError(
                f"an image of floats goes from {values.min():.4g} to {values.max():.4g}, not within 0 to 1"
            )
        values = (values * 255).round()
    elif values.dtype != np.uint8:
        raise RealismError(f"an image of {values.dtype} is not taken; expected bytes (uint8), or floats in [0, 1]")
    values = values.astype(np.uint8)
    return Image.fromarray(values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values).convert("RGB")
