"""Tiny random IP-Adapters for the tiny pipelines, in the formats of the public ones."""

from __future__ import annotations

from pathlib import Path

from tiny_pipelines import started, written


def _projection(width: int):
    """Weights that turn an image's embedding of 32 numbers into 4 tokens of that width."""
    import torch

    size = 4 * width
    return {
        "image_proj.proj.weight": torch.randn(size, 32), "image_proj.proj.bias": torch.randn(size),
        "image_proj.norm.weight": torch.ones(width), "image_proj.norm.bias": torch.zeros(width),
    }  # fmt: skip


def _unet_adapter(model: str):
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    weights = _projection(unet.config.cross_attention_dim)
    state = unet.state_dict()
    for i, processor in enumerate(unet.attn_processors):
        if processor.endswith("attn2.processor"):
            shape = state[processor.replace(".processor", ".to_k.weight")].shape
            for part in ("to_k_ip", "to_v_ip"):
                weights[f"ip_adapter.{i}.{part}.weight"] = torch.randn(shape)
    return weights


def _flux_adapter():
    import torch

    weights = {key.replace("image_proj.", "ip_adapter_proj_model."): value for key, value in _projection(32).items()}
    for part in ("k", "v"):
        stem = f"double_blocks.0.processor.ip_adapter_double_stream_{part}_proj"
        weights |= {f"{stem}.weight": torch.randn(32, 32), f"{stem}.bias": torch.randn(32)}
    return weights


def _sd3_adapter():
    import torch
    from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
    from diffusers.models.embeddings import IPAdapterTimeImageProjection

    attention = SD3IPAdapterJointAttnProcessor2_0(
        hidden_size=32, ip_hidden_states_dim=32, head_dim=16, timesteps_emb_dim=64
    )
    projection = IPAdapterTimeImageProjection(
        embed_dim=32, output_dim=32, hidden_dim=64, dim_head=64, heads=1, num_queries=4, timestep_in_dim=32
    )
    weights = {f"ip_adapter.0.{key}": value for key, value in attention.state_dict().items()}
    weights |= {f"image_proj.{key}": value for key, value in projection.state_dict().items()}
    return {key: value + 0.3 * torch.randn_like(value) for key, value in weights.items()}


def adapter(kind: str, folder: Path, model: str, seed: int = 0) -> Path:
    """The file of an IP-Adapter for the pipeline of that kind, which lies in the folder `model`."""
    started(seed)
    made = {"flux": _flux_adapter, "stable_diffusion_3": _sd3_adapter}
    weights = made[kind]() if kind in made else _unet_adapter(model)
    return written(folder, "ip-adapter.safetensors", weights) / "ip-adapter.safetensors"
