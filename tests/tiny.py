"""Tiny random models of the real classes, in the formats of the real ones, made offline in a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realism import Picture, Prompt

if TYPE_CHECKING:
    from PIL import Image

WORDS = ("a", "photo", "of", "the", "red", "blue", "daisy", "rose", "flower", "with", "and", "bee", "on", "sand")


def flux_folder(folder: Path, kontext: bool = False, seed: int = 0) -> Path:
    """A FluxPipeline or FluxKontextPipeline that draws 32 x 32 noise which depends on its prompt and reference."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        FluxKontextPipeline,
        FluxPipeline,
        FluxTransformer2DModel,
    )
    from realism.base.pretrained import quiet
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words = tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )  # fmt: skip
    vae = AutoencoderKL(
        sample_size=32, in_channels=3, out_channels=3, block_out_channels=(8, 16), layers_per_block=1,
        latent_channels=4, norm_num_groups=2, use_quant_conv=False, use_post_quant_conv=False,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        shift_factor=0.0, scaling_factor=1.5,
    )  # fmt: skip
    clip = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0, projection_dim=32,
    )  # fmt: skip
    t5 = T5Config(vocab_size=len(words), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    pipeline = (FluxKontextPipeline if kontext else FluxPipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=CLIPTextModel(clip),
        tokenizer=words,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=words,
        transformer=transformer,
    )
    with quiet():
        pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def tokenizer():
    """A word-level tokenizer as transformers saves it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=16,
    )  # fmt: skip


def openclip_folder(folder: Path, seed: int = 0) -> Path:
    """A dual encoder of 32 numbers on 32 x 32 images, with OpenCLIP's own tokenizer."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    model = open_clip.CLIP(**config)
    folder.mkdir(parents=True, exist_ok=True)
    written = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(written))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


def judged(
    images: Sequence[Image.Image], prompts: Sequence[Prompt], *references: Sequence[Image.Image]
) -> list[Picture]:
    """Images as a reward is given them, with the references of each, if there are any."""
    made = references or ((),) * len(images)
    return [Picture(i, p, tuple(those)) for i, p, those in zip(images, prompts, made, strict=True)]


def picture(seed: int, size: tuple[int, int] = (32, 32)):
    """A smooth random RGB picture."""
    import numpy as np
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def image_folder(folder: Path, subjects: tuple[str, ...] = ("daisy", "rose"), each: int = 3) -> Path:
    """A folder of class-labelled pictures."""
    for s, subject in enumerate(subjects):
        (folder / subject).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            picture(100 * s + i, (40, 36)).save(folder / subject / f"{i}.png")
    return folder
