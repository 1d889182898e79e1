"""Cosines in the space of a dual encoder: with the prompt, with the references, with real images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from realism.base.errors import RealismError
from realism.base.tables import chunks
from realism.data.types import Picture, Prompt
from realism.parts import DifferentiableReward, Images, PixelEncoder, Retriever, Reward, Scores

if TYPE_CHECKING:
    import numpy as np
    import torch

AT_ONCE = 64
"""Images in memory at a time while a subject's real images are read."""


@dataclass
class ClipT(DifferentiableReward):
    """CLIP-T: cosine of the image with its prompt, in [-1, 1]; higher is closer to the text.

    It is the plain cosine, as in most tables; CLIPScore (Hessel et al. 2021) is 2.5 max(cosine, 0).
    """

    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    recognises_with: ClassVar[tuple[str, ...]] = ("encoder",)

    encoder: Retriever
    """The dual encoder; use another one than retrieval did."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        made = self.encoder.encode_images([picture.image for picture in pictures])
        return Scores(_cosines(made, self._texts([picture.prompt for picture in pictures])))

    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        """See `DifferentiableReward.score_pixels`. Raises RealismError if the encoder gives no gradient."""
        import torch

        if not isinstance(self.encoder, PixelEncoder):
            raise RealismError(
                f"encoder {type(self.encoder).__name__} gives no gradient to pixels; use openclip, or another that does"
            )
        rows = self.encoder.encode_pixels(pixels)
        return (rows * torch.from_numpy(self._texts(prompts)).to(rows.device)).sum(1)

    def _texts(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """The row of each prompt's text (n, d); a text that several prompts share is encoded once."""
        distinct = {text: i for i, text in enumerate(dict.fromkeys(prompt.text for prompt in prompts))}
        return self.encoder.encode_texts(list(distinct))[[distinct[prompt.text] for prompt in prompts]]


@dataclass
class ClipI(Reward):
    """CLIP-I: mean cosine of the image with the references it was made from, in [-1, 1]; higher is closer to them.
    Copying raises it too."""

    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    recognises_with: ClassVar[tuple[str, ...]] = ("encoder",)

    uses_references: ClassVar[bool] = True

    encoder: Retriever
    """The image encoder; use another one than retrieval did."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import numpy as np
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        made = self.encoder.encode_images([picture.image for picture in pictures])
        rows = self.encoder.encode_images([image for picture in pictures for image in picture.references])
        ends = np.cumsum([len(picture.references) for picture in pictures])
        groups = np.split(rows.astype(np.float64), ends[:-1])
        return Scores(_cosines(made, np.stack([group.mean(0) for group in groups])))


@dataclass
class ClipIReal(Reward):
    """CLIP-I against real images: mean cosine with all real images of the prompt's subject, in [-1, 1]; higher is
    closer to them, NaN where there is none. Give it images that retrieval never saw, as copying a reference cannot
    raise it then."""

    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    recognises_with: ClassVar[tuple[str, ...]] = ("encoder",)

    encoder: Retriever
    """The image encoder; use another one than retrieval did."""
    real: Images
    """The real images, with subjects named as in the prompts."""

    evaluates_against: ClassVar[tuple[str, ...]] = ("real",)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import numpy as np
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        made = self.encoder.encode_images([picture.image for picture in pictures])
        nothing = np.full(made.shape[1], np.nan)
        return Scores(_cosines(made, np.stack([self._mean(picture.prompt.subject, nothing) for picture in pictures])))

    def release(self) -> None:
        self.__dict__.pop("_means", None)  # the encoder may have learned by the next use

    @cached_property
    def _paths(self) -> dict[str, list[Path]]:
        paths: dict[str, list[Path]] = defaultdict(list)
        for record in self.real.records():
            paths[record.subject].append(record.path)
        return dict(paths)

    @cached_property
    def _means(self) -> dict[str, np.ndarray]:
        return {}

    def _mean(self, subject: str, nothing: np.ndarray) -> np.ndarray:
        """The mean row (d,) of a subject's images, NaN if none can be read. As cosines are linear in it, the cosine
        with the mean row is the mean of the cosines."""
        from realism.base.images import UnreadableImage, read_images

        if not subject or subject not in self._paths:
            return nothing
        if subject not in self._means:
            total, count = nothing * 0, 0
            total[:] = 0
            for chunk in chunks(read_images(self._paths[subject], max_side=2048), AT_ONCE):
                readable = [image for image in chunk if not isinstance(image, UnreadableImage)]
                if readable:
                    total += self.encoder.encode_images(readable).astype("float64").sum(0)
                count += len(readable)
            self._means[subject] = total / count if count else nothing
        return self._means[subject]


def _cosines(rows: np.ndarray, others: np.ndarray) -> torch.Tensor:
    """Rows (n, d) and (n, d) of length at most 1 -> (n,) float32 inner products in [-1, 1], summed in float64."""
    import torch

    return torch.from_numpy((rows.astype("float64") * others).sum(1)).clamp(-1, 1).float()
