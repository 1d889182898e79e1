"""Pictures that the garden's generator draws of its prompts, for the figures of models that judge drawn pictures."""

from __future__ import annotations

from pathlib import Path

import torch

from ..reader import MODELS
from ..sets import PromptItem, prompt_set


def drawn_pictures(
    prompts: int, each: int, seed: int, folder: Path = MODELS / "flux", steps: int = 12
) -> tuple[list[PromptItem], torch.Tensor]:
    """So many test prompts about known species, and ``each`` pictures of every one, [prompts * each, 3, 64, 64] in
    -1 to 1, those of a prompt together."""
    from diffusers import FluxKontextPipeline

    items = prompt_set("test", prompts, ("known",))
    pipe = FluxKontextPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    texts = [item.text for item in items for _ in range(each)]
    out = []
    for k in range(0, len(texts), 24):
        part = texts[k : k + 24]
        random = [torch.Generator().manual_seed(seed * 100_003 + k + i) for i in range(len(part))]
        images = pipe(
            prompt=part, negative_prompt=[""] * len(part), height=64, width=64, max_sequence_length=32,
            num_inference_steps=steps, true_cfg_scale=2.5, max_area=64 * 64, generator=random, output_type="pt",
        ).images  # fmt: skip
        out.append(images.float().clamp(0, 1) * 2 - 1)
    return items, torch.cat(out)
