"""FLUX.1 by Black Forest Labs: with an IP-Adapter, with Redux, and Kontext, each taking references its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.base.cut_texts import token_counts
from realism.base.devices import pick_device
from realism.data.types import Request
from realism.plugins.models import find_model

from realism_generators.denoiser import Denoiser, Scaling, replace_conditions
from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.ip_adapter import IPAdapter
from realism_generators.references import as_pixels, crop_to_size
from realism_generators.tuning import JOINT_ATTENTION, Tensors

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from realism_generators.schedules import Schedule

REDUX = "FluxPriorReduxPipeline"


@dataclass
class BaseFlux(DiffusersGenerator):
    """Options of all FLUX.1 models: both guidances and two text encoders."""

    guidance: Annotated[float, Ge(0)] = 3.5
    """The guidance that dev models were distilled with, at no cost; other models take no notice of it."""
    true_guidance: Annotated[float, Ge(1)] = 1.0
    """Classifier-free guidance away from `negative_prompt`: prediction = negative + true_guidance * (positive -
    negative). 1 is none; above, every step costs twice."""
    negative_prompt: str = ""
    """What pictures should not show; only used with true_guidance above 1."""
    max_sequence_length: Annotated[int, Ge(1), Le(512)] = 512
    """Tokens of the prompt that T5 reads; longer prompts are cut."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        return self.max_sequence_length, token_counts(self.pipeline.tokenizer_2, texts)

    def prompt_arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The arguments of the prompts and of guidance."""
        arguments: dict[str, Any] = {
            "prompt": [request.text for request in requests],
            "guidance_scale": self.guidance,
            "max_sequence_length": self.max_sequence_length,
        }
        if self.true_guidance > 1:
            arguments["true_cfg_scale"] = self.true_guidance
            arguments["negative_prompt"] = [self.negative_prompt] * len(requests)
        return arguments


@dataclass
class FluxDenoiser(BaseFlux, Denoiser):
    """FLUX.1 as a denoiser of latents (b, 16, h, w), which its network sees as tokens of 2 x 2.

    Conditions may hold `reference` (b, c, h, w), the latents of a reference that becomes further tokens.
    """

    targets: ClassVar[tuple[str, ...]] = JOINT_ATTENTION

    def make_schedule(self, pipeline: Any) -> Schedule:
        from realism_generators.schedules import FlowSchedule

        return FlowSchedule(pipeline.scheduler, patch=2, evenly=True)

    @property
    def scaling(self) -> Scaling:
        return self.pipeline.vae.config.shift_factor, self.pipeline.vae.config.scaling_factor

    @property
    def guidance_weight(self) -> float:
        return self.true_guidance

    def text_conditions(self, texts: Sequence[str]) -> Tensors:
        """The conditioning of texts: states of T5 (b, n, c) and the pooled embedding of CLIP (b, d)."""
        import torch

        with torch.no_grad():
            prompt_embeds, pooled_prompt_embeds, _ = self.pipeline.encode_prompt(
                list(texts), None, self.pipeline.text_encoder_2.device, max_sequence_length=self.max_sequence_length
            )
        return {"encoder_hidden_states": prompt_embeds, "pooled_projections": pooled_prompt_embeds}

    def negative(self, conditions: Tensors) -> Tensors:
        return replace_conditions(conditions, self.text_conditions([self.negative_prompt]))

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Tensors) -> torch.Tensor:
        import torch

        pipeline, network, device = self.pipeline, self.pipeline.transformer, self.network_device
        arguments = {name: rows.to(device) for name, rows in conditions.items()}
        b, _, height, width = latents.shape
        tokens, ids = self._tokens(latents)
        if (reference := arguments.pop("reference", None)) is not None:
            more, more_ids = self._tokens(reference)
            more_ids[..., 0] = 1  # distinguishes them from the picture's
            tokens, ids = torch.cat([tokens, more], 1), torch.cat([ids, more_ids])
        guidance = torch.full((b,), self.guidance, device=device) if network.config.guidance_embeds else None
        predicted = network(
            tokens,
            timestep=timesteps.to(device).expand(b) / 1000,
            guidance=guidance,
            img_ids=ids,
            txt_ids=ids.new_zeros(arguments["encoder_hidden_states"].shape[1], 3),
            **arguments,
        ).sample[:, : height * width // 4]
        factor = pipeline.vae_scale_factor
        unpacked: torch.Tensor = pipeline._unpack_latents(predicted, height * factor, width * factor, factor)
        return unpacked.float()

    def _tokens(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (b, c, h, w) as tokens (b, h w / 4, 4 c), and the position of each (h w / 4, 3)."""
        pipeline, (b, channels, height, width) = self.pipeline, latents.shape
        latents = latents.to(self.network_device, self.torch_dtype)
        ids = pipeline._prepare_latent_image_ids(b, height // 2, width // 2, latents.device, latents.dtype)
        return pipeline._pack_latents(latents, b, channels, height, width), ids


@dataclass
class Flux(FluxDenoiser, IPAdapter):
    """FLUX.1: pictures from text, and from a reference by an IP-Adapter."""

    pipeline_class: ClassVar[str] = "FluxPipeline"
    also_reads: ClassVar[tuple[str, ...]] = ("FluxKontextPipeline",)

    model: str = "black-forest-labs/FLUX.1-dev"
    """A model that a plugin ships ("garden/flux"), a folder as diffusers saves it, or a hub id."""
    adapter_weights: str = "ip_adapter.safetensors"
    """The file of the adapter, as a path in it; the default is that of XLabs-AI/flux-ip-adapter. Only safetensors are
    read."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        return self.prompt_arguments(requests) | self.adapter_arguments(requests)

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        self.check_no_reference(references)
        return self.text_conditions(texts)


@dataclass
class FluxKontext(FluxDenoiser):
    """FLUX.1 Kontext: pictures from text, or from text and one reference image. Labs et al. 2025, arXiv 2506.15742.

    The reference enters as further image tokens. It is cut in the middle to the proportions of the picture and scaled
    to its size, so that it does not depend on the batch (diffusers would take all proportions from the first).
    """

    pipeline_class: ClassVar[str] = "FluxKontextPipeline"
    reference_mechanism: ClassVar[str] = "Kontext image tokens"
    max_references = 1

    model: str = "black-forest-labs/FLUX.1-Kontext-dev"
    """A model that a plugin ships ("garden/flux"), a folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 2.5
    """The guidance that dev models were distilled with, at no cost; other models take no notice of it."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments = self.prompt_arguments(requests) | {"max_area": width * height, "_auto_resize": False}
        if requests[0].references:
            arguments["image"] = [crop_to_size(request.references[0], width, height) for request in requests]
        return arguments

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        conditions = self.text_conditions(texts)
        if not references:
            return conditions
        pixels = as_pixels([crop_to_size(reference, *self.width_height) for reference in references])
        return {**conditions, "reference": self.encode(pixels)["mean"]}


@dataclass
class FluxRedux(BaseFlux):
    """FLUX.1 with Redux: the reference, seen by SigLIP, enters as further tokens of the text."""

    pipeline_class: ClassVar[str] = "FluxPipeline"
    reference_mechanism: ClassVar[str] = "Redux text tokens"
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "references"  # Redux adds a batch up
    cached: ClassVar[tuple[str, ...]] = ("pipeline", "prior_pipeline")
    max_references = 1

    model: str = "black-forest-labs/FLUX.1-dev"
    """A folder as diffusers saves it, or a hub id."""
    redux: str = "black-forest-labs/FLUX.1-Redux-dev"
    """The Redux model: a folder as diffusers saves it, or a hub id."""

    def more_models(self) -> list[str]:
        return [self.redux]

    def misfit(self) -> str | None:
        from realism_generators.loading import folder_error

        return folder_error(self.redux, (REDUX,))

    @cached_property
    def prior_pipeline(self) -> Any:
        """Redux, with the text encoders of the pipeline."""
        from realism_generators.loading import load_pipeline, place_pipeline

        names = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
        shared = {name: self.pipeline.components[name] for name in names}
        dtype = self.pipeline.transformer.dtype
        prior = load_pipeline(REDUX, (), find_model(self.redux), revision=None, dtype=dtype, components=shared)
        return place_pipeline(prior, pick_device(self.device), self.offload)

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments = self.prompt_arguments(requests)
        if requests[0].references:
            seen = self.prior_pipeline(requests[0].references[0].convert("RGB"), prompt=arguments.pop("prompt"))
            arguments |= {"prompt_embeds": seen.prompt_embeds, "pooled_prompt_embeds": seen.pooled_prompt_embeds}
        return arguments
