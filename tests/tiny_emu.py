"""Tiny random models like Emu2, which brings its own code, and of Emu3's real class."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from tiny import WORDS, tokenizer
from tiny_pipelines import started, unet, vae, written

os.environ.setdefault("HF_MODULES_CACHE", tempfile.mkdtemp(prefix="realism-modules-"))  # where Emu2's code is copied to


def emu3(folder: Path, seed: int = 0) -> Path:
    from realism.base.pretrained import quiet
    from transformers import Emu3Config, Emu3ForConditionalGeneration, Emu3ImageProcessor, Emu3Processor

    started(seed)
    words = tokenizer()
    signs = {
        "image_token": "<image>", "boi_token": "<|image start|>", "eoi_token": "<|image end|>",
        "image_wrapper_token": "<|image token|>", "eof_token": "<|extra_201|>",
    }  # fmt: skip
    visual = [f"<|visual token {i:06d}|>" for i in range(16)]
    words.add_special_tokens({"additional_special_tokens": [*signs.values(), "<|extra_200|>", *visual]})
    words.model_max_length = 4096
    for name, sign in signs.items():
        words.init_kwargs[name] = sign
        setattr(words, name, sign)
        setattr(words, f"{name}_id", words.convert_tokens_to_ids(sign))
    config = Emu3Config(
        text_config={
            "vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "initializer_range": 0.5,
        },
        vq_config={
            "codebook_size": 16, "embed_dim": 4, "latent_channels": 4, "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [3], "hidden_size": 32,
        },
        vocabulary_map=words.get_vocab(),
    )  # fmt: skip
    with quiet():
        Emu3ForConditionalGeneration(config).save_pretrained(folder)
        Emu3Processor(image_processor=Emu3ImageProcessor(), tokenizer=words, chat_template="").save_pretrained(folder)
    return folder


def emu2(folder: Path, seed: int = 0) -> Path:
    """A model whose repository brings its own code, as Emu2's does: `emu2_code/` beside this file."""
    import torch
    from diffusers import EulerDiscreteScheduler
    from realism.base.pretrained import quiet

    started(seed)
    code = Path(__file__).parent / "emu2_code"
    encoder = folder / "multimodal_encoder"
    written(
        encoder,
        "model.safetensors",
        {
            "words.weight": torch.randn(len(WORDS) + 4, 32),
            "look.weight": torch.randn(32, 3),
            "look.bias": torch.randn(32),
        },
    )
    settings = {
        "model_type": "tiny_emu", "vocab_size": len(WORDS) + 4, "hidden_size": 32, "architectures": ["TinyEmu"],
        "auto_map": {"AutoConfig": "modeling_emu.TinyEmuConfig", "AutoModelForCausalLM": "modeling_emu.TinyEmu"},
    }  # fmt: skip
    (encoder / "config.json").write_text(json.dumps(settings))
    shutil.copy(code / "modeling_emu.py", encoder)
    shutil.copy(code / "pipeline_emu2_gen.py", folder)
    with quiet():
        tokenizer().save_pretrained(folder / "tokenizer")
        unet().save_pretrained(folder / "unet")
        vae().save_pretrained(folder / "vae")
        EulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "EmuVisualGenerationPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "multimodal_encoder": ["transformers", "PreTrainedModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    }  # fmt: skip
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
