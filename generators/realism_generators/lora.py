"""The trainer `lora`: a generator learns from samples by a low-rank adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.data.artifacts import Artifact, Samples, Scores
from realism.measuring.scores import scored
from realism.parts import Trainer
from realism.parts.step import Artifacts
from realism.parts.work import Work

from realism_generators.diffusers_pipeline import SideLength
from realism_generators.tuning import FILE, LoRATunable, sort_metadata

if TYPE_CHECKING:
    import lightning
    from PIL import Image
    from realism.data.types import Request, Unmade
    from torch.utils.data import DataLoader

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
"""By the arithmetic of a generator, Lightning's name for training an adapter of it in float32."""


@dataclass
class LoRATrainer(Trainer):
    """Fine-tunes a generator on an arm of samples, by a low-rank adapter on its attention; all else is frozen.

    It begins where the generator stands: in an iteration the adapter of the last one goes on, so what all iterations
    together change keeps the adapter's rank R and its size on disk. DreamSync (Sun et al. 2023, section 3) lets each
    iteration s move by rank R from G_s, and does not say whether adapters are merged in between; going on is within
    2 R of G_s, as it leaves out what was learnt before as well as adding to it. Defaults: its table 7.

    The loss of a sample is the family's: squared error of noise or velocity (U-Nets), of flow (SD3, FLUX.1), masked
    cross-entropy (aMUSEd). With `weight` it is GORS: (1 / b) sum_i s_i loss_i over a batch of b, s_i the reward of
    sample i as it was scored (Huang et al. 2023, T2I-CompBench, arXiv 2307.06350, section 5). Nothing is normalised:
    only the ratio of the s_i counts, as Adam takes no notice of a common factor (`max_grad_norm` does). The optimiser
    is AdamW with weight decay 0.01.
    """

    generator: LoRATunable
    """What learns."""
    arm: str = "samples"
    """The samples to learn from, such as `select` has left."""
    weight: str = ""
    """The reward, 0 or more and higher for better, that weights the loss of each sample; "" weights all alike. Samples
    without a score are left out."""
    steps: Annotated[int, Ge(1), Le(10_000_000)] = 2500
    """Optimiser steps."""
    batch: Annotated[int, Ge(1), Le(10_000)] = 8
    """Samples at a time."""
    accumulate: Annotated[int, Ge(1), Le(10_000)] = 2
    """Batches to an optimiser step."""
    learning_rate: Annotated[float, Gt(0)] = 1e-4
    """Learning rate at the first step; it falls to 0 along half a cosine, without warm-up."""
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    """Longer gradients are scaled down to this norm, as in diffusers' training scripts."""
    resolution: SideLength | tuple[SideLength, SideLength] | None = None
    """Pixels that samples are cut and scaled to, a square or [width, height]; None is the generator's size."""
    flip: bool = True
    """Whether each sample is seen mirrored half of the time; turn it off where left and right matter."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Arithmetic, which must fit the generator's `dtype`: what is frozen keeps that, and the adapter is float32. auto
    is the one that fits."""
    checkpointing: bool = False
    """Compute activations again rather than keep them: much less memory, about a third slower."""

    @property
    def trains(self) -> LoRATunable:
        return self.generator

    def options_error(self) -> str | None:
        if self.checkpointing and not self.generator.supports_gradient_checkpointing:
            return f"checkpointing: '{self.generator.part_name}' cannot; leave it out"
        return self._precision_error()

    def _precision_error(self) -> str | None:
        """One sentence if the arithmetic does not fit that of the generator, or cannot be had."""
        from realism.base.devices import pick_device

        if self.precision == "auto" and self.generator.dtype != "float16":
            return None
        dtype, fitting = self._arithmetic()
        if self.precision not in ("auto", fitting):
            wanted = next(dtype for dtype, name in PRECISIONS.items() if name == self.precision)
            return (
                f"precision: '{self.precision}' does not fit generator '{self.generator.part_name}', which is held in "
                f"{dtype}; leave it out, or set the generator's dtype to {wanted}"
            )
        if dtype == "float16" and pick_device(self.generator.device).type == "cpu":
            return "generator.dtype: nothing learns in float16 on the CPU; set it to float32 or bfloat16"
        return None

    def _arithmetic(self) -> tuple[str, str]:
        """What the generator is held in, and the precision that fits it."""
        dtype = str(self.generator.arithmetic).removeprefix("torch.")
        return dtype, PRECISIONS[dtype]

    def length(self, batches: int) -> int:
        return batches // self.accumulate

    def fit_options(self) -> Mapping[str, Any]:
        return {
            "accumulate_grad_batches": self.accumulate,
            "precision": self._arithmetic()[1],
            "gradient_clip_val": self.max_grad_norm,
            "accelerator": "cpu" if self.generator.device == "cpu" else "auto",
        }

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [Samples(self.arm), *([Scores(self.arm, self.weight)] if self.weight else [])]

    def module(self) -> lightning.LightningModule:
        from realism_generators.lora_module import LoRAModule, Settings

        return LoRAModule(Settings(**{f.name: getattr(self, f.name) for f in fields(Settings)}))

    def data(self, work: Work) -> DataLoader[Any]:
        from realism_generators.lora_module import SampleLoader

        rows = list(self._rows(work))
        if not rows:
            lacking = f": none has a score of '{self.weight}'" if self.weight else ""
            raise RealismError(f"{self.part_name}: arm '{self.arm}' has no sample to learn from{lacking}")
        return SampleLoader(rows, self.batch, self.steps * self.accumulate, self.generator.trained)

    def _rows(self, work: Work) -> Iterator[tuple[Path, str, float]]:
        """The picture, the text and the weight of each sample that has one."""
        heaviest = 0.0
        for sample, scores in scored(work.state, self.arm):
            weight = 1.0 if not self.weight else scores[self.weight].value if self.weight in scores else None
            if weight is None:
                continue
            if weight < 0:
                raise RealismError(
                    f"weight: reward '{self.weight}' is {weight:g} for sample '{sample.id}'; weights must be 0 or "
                    "more: take a reward that is, or leave 'weight' out"
                )
            heaviest = max(heaviest, weight)
            yield work.root / sample.image, sample.text, weight
        if self.weight and not heaviest:
            raise RealismError(f"weight: reward '{self.weight}' is 0 for every sample, so there is nothing to learn")

    def draw(self, module: lightning.LightningModule, requests: Sequence[Request]) -> Sequence[Image.Image | Unmade]:
        with self.generator.drawing(module.pipeline):
            return self.generator.generate(requests)

    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        self.generator.save_adapter(module.pipeline, folder)
        sort_metadata(folder / FILE)
        self.generator.end_training(module.pipeline)
