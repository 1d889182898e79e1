"""A tiny random AmusedPipeline, in the format of the real one."""

from __future__ import annotations

from pathlib import Path

from tiny import WORDS, tokenizer
from tiny_pipelines import saved, started


def amused(folder: Path, seed: int = 0) -> Path:
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    started(seed)
    codes = 32
    config = CLIPTextConfig(
        vocab_size=len(WORDS) + 4, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0, projection_dim=32,
    )  # fmt: skip
    transformer = UVit2DModel(
        hidden_size=32, cond_embed_dim=32, micro_cond_encode_dim=4, micro_cond_embed_dim=20, encoder_hidden_size=32,
        vocab_size=codes + 1, codebook_size=codes, in_channels=16, block_out_channels=16, num_res_blocks=1,
        block_num_heads=2, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, sample_size=8,
    )  # fmt: skip
    vqvae = VQModel(
        block_out_channels=(8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4, num_vq_embeddings=codes, norm_num_groups=2,
        sample_size=32, lookup_from_codebook=True,
    )  # fmt: skip
    pipeline = AmusedPipeline(
        vqvae=vqvae, tokenizer=tokenizer(), text_encoder=CLIPTextModelWithProjection(config), transformer=transformer,
        scheduler=AmusedScheduler(mask_token_id=codes),
    )  # fmt: skip
    return saved(pipeline, folder)
