"""What Lightning fits for the trainer `lora`: the module, and batches that a resumed fit goes on with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning
import numpy as np
import torch
from PIL import Image
from realism.base.devices import DType
from realism.base.errors import RealismError
from realism.base.images import UnreadableImage, read_images
from torch.utils.data import DataLoader

from realism_generators.loading import fitting_size
from realism_generators.references import filling

if TYPE_CHECKING:
    from realism_generators.lora import LoRATrainer

warnings.filterwarnings("ignore", "Found .* in eval mode")  # what is frozen should be: T5 would drop out

FROZEN: dict[str, DType] = {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16"}
"""By precision, the arithmetic of what is frozen."""
Row = tuple[Path, str, float]
"""The image of a sample, its text and the weight of its loss."""


class Batch(NamedTuple):
    """Some samples, and the seed of everything that is drawn for them."""

    images: list[Image.Image]
    texts: list[str]
    weights: list[float]
    seed: int


class Learning(lightning.LightningModule):
    """A frozen pipeline, and the adapter in it that learns."""

    def __init__(self, options: LoRATrainer):
        super().__init__()
        self.options = options
        self.pipeline = options.generator.trainable(FROZEN[options.precision])
        inner = {k: v for k, v in self.pipeline.components.items() if isinstance(v, torch.nn.Module)}
        for name in inner.keys() & {"vae", "vqvae"}:
            torch.nn.Module.float(inner[name])  # in 16 bits some overflow; diffusers' own float() warns
        self.inner = torch.nn.ModuleDict(inner)  # so that Lightning moves them
        if options.checkpointing:
            getattr(self.pipeline, options.generator.network).enable_gradient_checkpointing()
        size = options.resolution or options.generator.size
        self.width, self.height = fitting_size(self.pipeline, size)
        self.strict_loading = False  # checkpoints hold the adapter alone

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        random = torch.Generator("cpu").manual_seed(batch.seed)
        generator = self.options.generator
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            latents = generator.encode_pixels(self.pipeline, self._pixels(batch.images, random), random)
            conditions = generator.encode_texts(self.pipeline, batch.texts, self.width, self.height)
        losses = generator.losses(self.pipeline, latents, conditions, random)
        loss = (losses * torch.tensor(batch.weights).to(losses)).mean()
        if not torch.isfinite(loss):
            raise RealismError(
                f"the loss is {loss.item()} at step {self.global_step}; take a lower learning_rate or precision 32-true"
            )
        return loss

    def _pixels(self, images: Sequence[Image.Image], random: torch.Generator) -> torch.Tensor:
        """Pixels (b, 3, height, width) in [0, 1], some of them mirrored."""
        arrays = np.stack([np.asarray(filling(image, self.width, self.height)) for image in images])
        pixels = torch.from_numpy(arrays).to(self.device).permute(0, 3, 1, 2).float() / 255
        if not self.options.flip:
            return pixels
        mirrored = torch.rand(len(images), generator=random).to(self.device) < 0.5
        return torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)

    def configure_optimizers(self) -> Any:
        learning = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=self.options.learning_rate, weight_decay=0.01)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.options.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        learning = {name for name, weight in self.named_parameters() if weight.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in learning}


class Lessons(DataLoader[Batch]):
    """A number of batches, drawn from rows of samples: all rows in random order, then all in another, and so on.

    Batch k and its seed depend on torch's seed when this is made, on what was learnt before (hex digits) and on k
    alone, and Lightning keeps which comes next: a fit that was killed goes on with the same batches, and one that goes
    on from an earlier fit has others. Images are read ahead, a few at a time.
    """

    def __init__(self, rows: Sequence[Row], batch: int, count: int, learnt: str = ""):
        super().__init__(rows, batch_size=None)  # type: ignore[arg-type]
        self._rows, self._batch, self._count, self._next = rows, batch, count, 0
        self._seed = [torch.initial_seed() % 2**63, int(learnt or "0", 16)]

    def __len__(self) -> int:
        return self._count

    def state_dict(self) -> dict[str, int]:
        """Which batch comes next."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin with the batch that would have come next."""
        self._next = state["next"]

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        images = read_images(path for k in range(self._next, self._count) for path, *_ in self._lesson(k))
        while self._next < self._count:
            lesson = self._lesson(self._next)
            found = [_readable(next(images)) for _ in lesson]
            seed = int(np.random.SeedSequence([*self._seed, 1, self._next]).generate_state(1, np.uint64)[0]) >> 1
            self._next += 1
            yield Batch(found, [text for _, text, _ in lesson], [weight for *_, weight in lesson], seed)

    def _lesson(self, k: int) -> list[Row]:
        n = len(self._rows)
        places = range(k * self._batch, (k + 1) * self._batch)
        orders = {e: np.random.default_rng([*self._seed, 0, e]).permutation(n) for e in {at // n for at in places}}
        return [self._rows[orders[at // n][at % n]] for at in places]


def _readable(image: Image.Image | UnreadableImage) -> Image.Image:
    if isinstance(image, UnreadableImage):
        raise image
    return image
