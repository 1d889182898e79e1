"""Generators that can be fine-tuned: a low-rank adapter on their attention, in the format of diffusers.

A family defines which network is adapted, how pictures and texts are encoded for it, and its loss. The pipeline that
draws is also the one that is trained: its adapter is loaded, unloaded, trained and switched off in place. Source of the
method: LoRA, Hu et al. 2022, arXiv 2106.09685.
"""

from __future__ import annotations

import contextlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le
from realism.base.devices import pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.base.files import fingerprint_path
from realism.parts import Tunable

from realism_generators.diffusers_pipeline import DiffusersGenerator

if TYPE_CHECKING:
    import torch
    from PIL import Image

ADAPTER = "default"
FILE = "pytorch_lora_weights.safetensors"
"""The file name that diffusers loads."""

JOINT_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""The projections of attention over text and image tokens."""

TRAINING = "training"
"""In the place of a fingerprint: the attached adapter is being trained."""

Tensors = Mapping[str, "torch.Tensor"]
"""Tensors by name, each (b, ...) with a row for each text or picture, so that rows can be stored and concatenated."""


@dataclass(frozen=True)
class LoRA:
    """A low-rank adapter: each adapted layer computes W x + scale * alpha / rank * B A x; B is 0 before training."""

    rank: Annotated[int, Ge(1), Le(4096)] = 128
    """Rows of A and columns of B."""
    alpha: Annotated[float, Gt(0)] | None = None
    """The factor alpha / rank of the adapter, in training and after; None is the rank, for a factor of 1."""
    scale: Annotated[float, Ge(0)] = 1.0
    """The factor of the adapter when pictures are drawn: 1 in full, 0 not at all."""
    targets: tuple[str, ...] = ()
    """Which layers are adapted, by the ends of their names; empty for the attention's projections."""


@dataclass
class LoRATunable(DiffusersGenerator, Tunable):
    """A pipeline of diffusers whose denoising network can have a low-rank adapter."""

    cached: ClassVar[tuple[str, ...]] = ("pipeline", "other_pipeline", "autoencoder")
    network: ClassVar[str] = "transformer"
    """The component that is adapted."""
    autoencoder_name: ClassVar[str] = "vae"
    """The component between pixels and the network's latents or tokens."""
    targets: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0")
    """The attention's projections in the network."""

    supports_gradient_checkpointing: ClassVar[bool] = True
    """Whether diffusers supports gradient checkpointing of the network."""

    supports_min_snr: ClassVar[bool] = False
    """Whether `losses` can be weighted by min-SNR-gamma: the network predicts epsilon, v or the sample."""

    lora: LoRA = field(default_factory=LoRA)
    """The adapter that trainers make."""

    _trained: Path | None = field(default=None, init=False, repr=False)
    _attached: str = field(default="", init=False, repr=False)

    @property
    def prefix(self) -> str | None:
        """What the names of the adapter's weights begin with in its file."""
        return self.network

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of the pipeline, but for an adapter in training, which is float32."""
        return pick_dtype(self.dtype, pick_device(self.device))

    @property
    def network_device(self) -> torch.device:
        """The device of the network."""
        # not the pipeline's `device`, which goes through all modules
        return next(getattr(self.pipeline, self.network).parameters()).device

    @abstractmethod
    def encode(self, pixels: torch.Tensor) -> Tensors:
        """What the network is trained on, (b, ...), for pixels (b, 3, h, w) in [0, 1]; deterministic, so that it can be
        stored."""

    @abstractmethod
    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        """The conditioning (b, ...) of each text, as when pictures are drawn. references: one for each text, or
        none."""

    @abstractmethod
    def losses(
        self, pictures: Tensors, conditions: Tensors, random: torch.Generator, min_snr: float | None = None
    ) -> torch.Tensor:
        """The training loss (b,) float32 of pictures, as `encode` gives them, and the conditions of their texts. All
        that is random is drawn from a generator on the CPU. min_snr: gamma of min-SNR-gamma weights; None gives
        every noise level the weight 1. It is not None only where `supports_min_snr`."""

    def unconditional(self) -> Tensors:
        """The conditions (1, ...) of no text, as in classifier-free guidance without a negative prompt."""
        return self.condition([""])

    @cached_property
    def autoencoder(self) -> Any:
        """The pipeline's autoencoder in float32, as some overflow in 16 bits: itself if it is, else a copy."""
        import copy

        own = getattr(self.pipeline, self.autoencoder_name)
        return own if own.dtype.itemsize == 4 else copy.deepcopy(own).float()

    def use_weights(self, folder: Path | None) -> None:
        self._trained = folder
        loaded = self.__dict__.get("pipeline")
        if loaded is not None and self.trained != self._attached:
            training = self._attached == TRAINING
            loaded.remove_all_hooks()
            self._detach(loaded)
            if training:
                self.setup(loaded)
            else:
                self._load_trained(loaded)
            self.end_training(loaded)

    @property
    def trained(self) -> str:
        """The fingerprint of the adapter in use, 32 hex digits; "" for none."""
        return fingerprint_path(self._trained) if self._trained else ""

    def setup(self, pipeline: Any) -> None:
        super().setup(pipeline)
        for part in modules(pipeline).values():
            part.requires_grad_(False)
        self._load_trained(pipeline)

    def _load_trained(self, pipeline: Any) -> None:
        self._attached = self.trained
        if self._trained is not None:
            self.load_adapter(pipeline, self._trained)
            getattr(pipeline, self.network).set_adapters(ADAPTER, self.lora.scale)

    def load_adapter(self, pipeline: Any, folder: Path) -> None:
        """Load a saved adapter into a pipeline, as its `load_lora_weights` does for this network.

        Raises RealismError if it does not fit, is not whole, or is not finite."""
        from peft.utils import get_peft_model_state_dict
        from realism.base.loading import read_tensors, safe_loading

        network, start = getattr(pipeline, self.network), f"{self.prefix}." if self.prefix else ""
        with safe_loading(folder):
            saved = {name.removeprefix(start) for name in read_tensors(folder / FILE)}
            network.load_lora_adapter(
                str(folder), prefix=self.prefix, weight_name=FILE, adapter_name=ADAPTER, _pipeline=pipeline
            )
        if odd := sorted(saved ^ set(get_peft_model_state_dict(network, adapter_name=ADAPTER))):
            raise RealismError(
                f"the adapter of '{self.part_name}', {folder / FILE}, does not fit the {self.network} of "
                f"'{self.model}': {odd[0]} is in one of them alone; train it again"
            )

    def save_adapter(self, pipeline: Any, folder: Path) -> None:
        """Save a pipeline's adapter for `load_lora_weights` of a pipeline of diffusers, alpha included."""
        from peft.utils import get_peft_model_state_dict

        network = getattr(pipeline, self.network)
        layers = {k: v.detach().float().cpu() for k, v in get_peft_model_state_dict(network, None, ADAPTER).items()}
        config = network.peft_config[ADAPTER].to_dict()
        ordered = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}  # equal bytes each time
        arguments = {f"{self.network}_lora_layers": layers, f"{self.network}_lora_adapter_metadata": ordered}
        pipeline.save_lora_weights(folder, **arguments)

    def training_pipeline(self) -> Any:
        """The pipeline for training: without what `setup` added and without hooks that move its components, frozen but
        for its adapter, which is float32: the one in use, or a new one initialised by torch's generator. `use_weights`
        makes it the pipeline for drawing again."""
        import torch
        from diffusers.training_utils import cast_training_params

        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            pipeline = self.pipeline
        pipeline.remove_all_hooks()
        self._detach(pipeline)
        self.remove_setup(pipeline)
        network = getattr(pipeline, self.network)
        self._attached = TRAINING
        if self._trained is not None:
            self.load_adapter(pipeline, self._trained)
        else:
            self._add_adapter(network)
        for name, weight in network.named_parameters():
            weight.requires_grad_("lora_" in name)
        cast_training_params(network, torch.float32)
        return pipeline

    @contextlib.contextmanager
    def drawing(self, pipeline: Any) -> Iterator[None]:
        """A pipeline that learns is placed for drawing, with the scale of its adapter, until the block ends; then it
        goes on learning where it was."""
        from realism_generators.loading import place_pipeline

        network, parts = getattr(pipeline, self.network), modules(pipeline)
        places = {name: next(part.parameters()).device for name, part in parts.items()}
        modes = {inner: inner.training for part in parts.values() for inner in part.modules()}
        for part in parts.values():
            part.eval()
        network.set_adapters(ADAPTER, self.lora.scale)
        # layer by layer, the weights that the optimiser has would be put in the place of others
        place_pipeline(pipeline, pick_device(self.device), "none" if self.offload == "none" else "model")
        try:
            yield
        finally:
            pipeline.remove_all_hooks()
            network.set_adapters(ADAPTER, 1.0)
            for name, part in parts.items():
                part.to(places[name])
            for inner, mode in modes.items():
                inner.training = mode

    def end_training(self, pipeline: Any) -> None:
        """Put a trained pipeline back on its device, as it is placed for drawing."""
        from realism_generators.loading import place_pipeline

        network = getattr(pipeline, self.network)
        if getattr(network, "is_gradient_checkpointing", False):
            network.disable_gradient_checkpointing()
        place_pipeline(pipeline, pick_device(self.device), self.offload)

    @contextlib.contextmanager
    def adapter_off(self) -> Iterator[None]:
        """The network is the base model, without its adapter, until the block ends."""
        network = getattr(self.pipeline, self.network)
        adapted = self._attached != ""
        if adapted:
            network.disable_lora()
        try:
            yield
        finally:
            if adapted:
                network.enable_lora()

    def _detach(self, pipeline: Any) -> None:
        if self._attached:
            getattr(pipeline, self.network).unload_lora()
        self._attached = ""

    def _add_adapter(self, network: Any) -> None:
        from peft import LoraConfig

        targets = list(self.lora.targets or self.targets)
        alpha: Any = self.lora.alpha or self.lora.rank  # peft takes fractions, though it declares int
        config = LoraConfig(r=self.lora.rank, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=targets)
        try:
            network.add_adapter(config, ADAPTER)
        except ValueError as error:
            raise RealismError(
                f"lora.targets: the {self.network} of '{self.model}' has no layers {', '.join(targets)}; name the ends "
                "of names of its linear layers, or leave 'targets' out"
            ) from error


def sort_metadata(file: Path) -> None:
    """Sort the metadata of a safetensors file, whose order changes from one writing to the next, so that equal adapters
    are equal bytes, by which runs are fingerprinted."""
    raw = file.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw[end:])


def modules(pipeline: Any) -> dict[str, torch.nn.Module]:
    """The networks of a pipeline, by name."""
    import torch

    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
