"""Tiny random chat models of the real classes, in the formats of the real ones, made offline in a second each."""

from __future__ import annotations

from pathlib import Path

from tiny import WORDS

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<user>", "<system>", "<reply>", "<image>")
TEMPLATE = """\
<s>{% for m in messages %}<{{ m['role'] }}>{% if m['content'] is string %}{{ m['content'] }}{% else %}\
{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}\
{% endif %}{% endfor %}{% if add_generation_prompt %}<reply>{% endif %}"""


def chat_folder(folder: Path, seed: int = 4) -> Path:
    """A LlamaForCausalLM with a chat template, that replies in random words."""
    import torch
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words = _tokenizer()
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    return _saved(LlamaForCausalLM(_llama(len(words))), folder)


def llava_folder(folder: Path, seed: int = 2) -> Path:
    """A LlavaForConditionalGeneration with its processor: 4 tokens an image of 32 x 32."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words = _tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    )
    config = LlavaConfig(
        vision_config=vision, text_config=_llama(len(words)), image_token_index=SPECIAL.index("<image>"),
        vision_feature_layer=-1, image_seq_length=4,
    )  # fmt: skip
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), words, patch_size=16,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return _saved(LlavaForConditionalGeneration(config), folder)


def _llama(words: int):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=words, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip


def _saved(model, folder: Path) -> Path:
    """The model in a folder, with weights so large that its words depend on what it is asked, and few early ends."""
    import torch
    from realism.base.pretrained import quiet

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(20 if "lm_head" in name or "embed_tokens" in name else 8)
        model.get_output_embeddings().weight[SPECIAL.index("</s>")] *= 0.3
    with quiet():
        model.save_pretrained(folder, safe_serialization=True)
    return folder


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *WORDS])}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]), model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
