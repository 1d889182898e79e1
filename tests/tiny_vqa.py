"""Tiny random models that answer questions about images, of the real classes, in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path

from tiny import WORDS

ASKING = ("what", "is", "this", "there", "how", "many", "color", "yes", "no", "figure", "show", "does", "?", ":")


def blip_folder(folder: Path, seed: int = 0) -> Path:
    """A BlipForQuestionAnswering that answers in random words about 32 x 32 pictures."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering, BlipImageProcessor, BlipProcessor

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *ASKING]
    words = BertTokenizer(vocab={word: i for i, word in enumerate(names)}, model_max_length=24)
    text = {
        "vocab_size": len(names), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 24, "encoder_hidden_size": 32, "pad_token_id": 0,
        "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
    }  # fmt: skip
    model = BlipForQuestionAnswering(BlipConfig(text_config=text, vision_config=VISION))
    BlipProcessor(BlipImageProcessor(size=SIZE), words).save_pretrained(folder)
    return _saved(model, folder, model.text_decoder.get_output_embeddings(), ends=3)


def blip2_folder(folder: Path, decoder: bool = False, seed: int = 0) -> Path:
    """A Blip2ForConditionalGeneration on T5, or on OPT, which is a decoder alone."""
    import torch
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        BlipImageProcessor,
        OPTConfig,
        T5Config,
    )

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words = _tokenizer(("<pad>", "<s>", "</s>", "<unk>"), "<s> $A" if decoder else "$A </s>")
    Blip2Processor(BlipImageProcessor(size=SIZE), words, num_query_tokens=4).save_pretrained(folder)
    text = (
        OPTConfig(
            vocab_size=len(words), hidden_size=32, ffn_dim=32, word_embed_proj_dim=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
        if decoder
        else T5Config(
            vocab_size=len(words), d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0,
            eos_token_id=2, decoder_start_token_id=0, tie_word_embeddings=False,
        )
    )  # fmt: skip
    config = Blip2Config(
        vision_config=VISION,
        qformer_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "encoder_hidden_size": 32, "vocab_size": 8,
        },
        text_config=text.to_dict(), num_query_tokens=4, image_token_index=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    model = Blip2ForConditionalGeneration(config)
    return _saved(model, folder, model.language_model.get_output_embeddings(), ends=2)


def qwen_folder(folder: Path, seed: int = 0) -> Path:
    """A Qwen2VLForConditionalGeneration, whose pictures take as many tokens as they are large."""
    import torch
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    special = ("<pad>", "<s>", "</s>", "<unk>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    words = _tokenizer((*special, "<user>", "<reply>"), "$A")
    template = (
        "{% for m in messages %}<user>{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}<reply>"
    )
    seen = {"patch_size": 8, "merge_size": 2, "min_pixels": 16 * 16, "max_pixels": 64 * 64}
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(**seen), words, Qwen2VLVideoProcessor(**seen), chat_template=template
    ).save_pretrained(folder)
    config = Qwen2VLConfig(
        vision_config={
            "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8,
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        },
        image_token_id=6, video_token_id=7, vision_start_token_id=4, vision_end_token_id=5,
    )  # fmt: skip
    model = Qwen2VLForConditionalGeneration(config)
    return _saved(model, folder, model.get_output_embeddings(), ends=2)


def sentence_folder(folder: Path, seed: int = 0) -> Path:
    """An MPNetModel, as all-mpnet-base-v2 is; texts that share words lie near each other."""
    import torch
    from transformers import MPNetConfig, MPNetModel

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    words = _tokenizer(("<s>", "<pad>", "</s>", "<unk>"), "<s> $A </s>")
    words.save_pretrained(folder)
    model = MPNetModel(
        MPNetConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=32,
        )
    )  # fmt: skip
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(20)
    model.save_pretrained(folder)
    return folder


SIZE = {"height": 32, "width": 32}
VISION = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def _tokenizer(special: tuple[str, ...], form: str):
    """A tokenizer of whole words, with those special tokens first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = {word: i for i, word in enumerate([*special, *WORDS, *ASKING, "Yes", "Question", "Answer", "<image>"])}
    raw = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single=form, special_tokens=[(token, names[token]) for token in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=[*special[4:], "<image>"], model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _saved(model, folder: Path, head, ends: int) -> Path:
    """The model in a folder, with weights so large that its words depend on what it is asked, and few early ends."""
    import torch
    from realism.base.pretrained import quiet

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "relative" not in name:
                weight.mul_(8)
            elif "patch_embedding" in name or "query_tokens" in name:
                weight.normal_()
        head.weight[ends] *= 0.3
    with quiet():
        model.save_pretrained(folder, safe_serialization=True)
    return folder
