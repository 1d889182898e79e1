"""The trainer `lora`: fine-tunes a generator on samples by a low-rank adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from realism.base.errors import RealismError
from realism.data.artifacts import Artifact, Samples, ScoreTable
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
"""By the dtype of a generator, Lightning's precision for training a float32 adapter of it."""


@dataclass
class LoRATrainer(Trainer):
    """Fine-tunes a generator on an arm of samples, by a low-rank adapter on its attention; all else is frozen.

    It starts from the weights that the generator uses: each iteration continues the adapter of the last, so that the
    change by all iterations together has the adapter's rank R, and its size on disk. In DreamSync (Sun et al. 2023,
    section 3) each iteration s changes G_s by rank R, and whether adapters are merged in between is not stated; to
    continue one changes G_s by rank 2 R at most. Defaults: its table 7.

    The loss of a sample is the family's: squared error of noise or velocity (U-Nets), of flow (SD3, FLUX.1), masked
    cross-entropy (aMUSEd). With `weight` it is GORS: (1 / b) sum_i s_i loss_i over a batch of b, s_i the reward of
    sample i (Huang et al. 2023, T2I-CompBench, arXiv 2307.06350, section 5). The s_i are not
    normalised: only their ratio matters, as Adam is invariant to a common factor (`max_grad_norm` is not). The
    optimiser is AdamW with weight decay 0.01.
    """

    generator: LoRATunable
    """The generator to fine-tune."""
    arm: str = "samples"
    """The samples to train on, such as those that `select` has left."""
    weight: str = ""
    """The reward, 0 or more and higher for better, that weights the loss of each sample; "" gives all the weight 1.
    Samples without a score are left out."""
    steps: Annotated[int, Ge(1), Le(10_000_000)] = 2500
    """Optimiser steps."""
    batch: Annotated[int, Ge(1), Le(10_000)] = 8
    """Samples at a time."""
    accumulate: Annotated[int, Ge(1), Le(10_000)] = 2
    """Batches to an optimiser step."""
    learning_rate: Annotated[float, Gt(0)] = 1e-4
    """Learning rate at the first step; it falls to 0 along half a cosine, without warm-up."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """adamw8bit is AdamW with both moments of every tensor of 4096 numbers or more in 8 bits: 2 bytes for each number
    instead of 8 (Dettmers et al. 2022, arXiv 2110.02861). It needs `pip install "realism[8bit]"`."""
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    """Longer gradients are scaled down to this norm, as in diffusers' training scripts."""
    resolution: SideLength | tuple[SideLength, SideLength] | None = None
    """Pixels that samples are cut and scaled to, a square or [width, height]; None is the generator's size."""
    flip: bool = True
    """Whether each sample is mirrored with probability 1/2; turn it off where left and right matter."""
    min_snr: Annotated[float, Gt(0), Le(1000)] | None = None
    """gamma of min-SNR-gamma weighting (Hang et al. 2023, arXiv 2303.09556), which suggests 5; None gives all noise
    levels the weight 1. For generators that predict epsilon, v or the sample; flow matching is refused."""
    caption_dropout: Annotated[float, Ge(0), Le(1)] = 0.0
    """The probability, in [0, 1], that a sample is trained on without its text, for classifier-free guidance (Ho and
    Salimans 2022, arXiv 2207.12598, algorithm 1)."""
    ema_decay: Annotated[float, Gt(0), Lt(1)] | None = None
    """Save an exponential moving average of the adapter instead of its last weights: after step n, average = d_n *
    average + (1 - d_n) * weights, d_n = min(ema_decay, n / (n + 9)) and d_1 = 0, as diffusers' EMAModel. None saves the
    last."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Lightning's precision, which must fit the generator's `dtype`: frozen weights have that, and the adapter is
    float32. auto is the one that fits."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass (Chen et al. 2016, arXiv 1604.06174): much less memory, about a
    third slower."""

    @property
    def trains(self) -> LoRATunable:
        return self.generator

    def options_error(self) -> str | None:
        if self.gradient_checkpointing and not self.generator.supports_gradient_checkpointing:
            return f"gradient_checkpointing: '{self.generator.part_name}' cannot; leave it out"
        if self.min_snr is not None and not self.generator.supports_min_snr:
            return (
                f"min_snr: '{self.generator.part_name}' predicts neither epsilon, v nor the sample (flow matching "
                "draws noise levels from a distribution of its own); leave it out"
            )
        if self.optimizer == "adamw8bit" and not find_spec("bitsandbytes"):
            return 'optimizer: adamw8bit needs bitsandbytes: pip install "realism[8bit]", or leave it out for adamw'
        return self._precision_error()

    def _precision_error(self) -> str | None:
        """One sentence if the precision does not fit the generator's dtype, or its device cannot train in it."""
        from realism.base.devices import is_cpu

        if self.precision != "auto":
            dtype, fitting = self._dtype_and_precision()
            if self.precision != fitting:
                wanted = next(dtype for dtype, name in PRECISIONS.items() if name == self.precision)
                return (
                    f"precision: '{self.precision}' does not fit generator '{self.generator.part_name}', which is in "
                    f"{dtype}; leave it out, or set the generator's dtype to {wanted}"
                )
        if self.generator.dtype == "float16" and is_cpu(self.generator.device):
            return "generator.dtype: training in float16 needs a GPU; set it to float32 or bfloat16"
        return None

    def _dtype_and_precision(self) -> tuple[str, str]:
        """The generator's dtype, and the precision that fits it."""
        dtype = str(self.generator.torch_dtype).removeprefix("torch.")
        return dtype, PRECISIONS[dtype]

    def length(self, batches: int) -> int:
        return batches // self.accumulate

    def fit_options(self) -> Mapping[str, Any]:
        return {
            "accumulate_grad_batches": self.accumulate,
            "precision": self._dtype_and_precision()[1],
            "gradient_clip_val": self.max_grad_norm,
            "accelerator": "cpu" if self.generator.device == "cpu" else "auto",
        }

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [Samples(self.arm), *([ScoreTable(self.arm, self.weight)] if self.weight else [])]

    def module(self) -> lightning.LightningModule:
        from realism_generators.lora_module import LoRAModule, Settings

        return LoRAModule(Settings(**{f.name: getattr(self, f.name) for f in fields(Settings)}))

    def data(self, work: Work) -> DataLoader[Any]:
        from realism_generators.lora_module import SampleLoader

        rows = list(self._rows(work))
        if not rows:
            missing_message = f": none has a score of '{self.weight}'" if self.weight else ""
            raise RealismError(f"{self.part_name}: arm '{self.arm}' has no sample to train on{missing_message}")
        return SampleLoader(rows, self.batch, self.steps * self.accumulate, self.generator.trained)

    def _rows(self, work: Work) -> Iterator[tuple[Path, str, float]]:
        """The image file, the text and the weight of each sample that has a weight."""
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
            raise RealismError(f"weight: reward '{self.weight}' is 0 for every sample, so nothing can be learned")

    def draw(self, module: lightning.LightningModule, requests: Sequence[Request]) -> Sequence[Image.Image | Unmade]:
        if module.ema is not None:  # which is what will be saved
            module.ema.store(module.trainable())
            module.ema.copy_to(module.trainable())
        try:
            with self.generator.drawing(module.pipeline):
                return self.generator.generate(requests)
        finally:
            if module.ema is not None:
                module.ema.restore(module.trainable())

    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        if module.ema is not None:
            module.ema.copy_to(module.trainable())
        self.generator.save_adapter(module.pipeline, folder)
        sort_metadata(folder / FILE)
        self.generator.end_training(module.pipeline)
