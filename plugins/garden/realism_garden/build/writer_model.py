"""The network of the writer miniature, its tokenizer of whole words, and its loss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.cache_utils import DynamicCache

PIECE = r" ?[A-Za-z]+| ?[0-9]|\n| ?[^\sA-Za-z0-9]| "  # a word, a digit or a sign, with the blank before it
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<user>", "<system>", "<reply>")
TEMPLATE = (
    "<s>{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<reply>{% endif %}"
)
CONTEXT = 1024
Example = tuple[str, str, str]
"""System text, user text, reply."""


def word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose words are the pieces of these texts, with a chat template; any other word is <unk>."""
    found = sorted({piece for text in texts for piece in re.findall(PIECE, text)})
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *found])}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(PIECE), "isolated")
    raw.decoder = decoders.Fuse()
    words = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]), model_input_names=["input_ids", "attention_mask"],
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    words.chat_template = TEMPLATE
    return words


def new_writer(words: int) -> LlamaForCausalLM:
    """A Llama of three layers for a vocabulary of so many words, its first and last weights tied."""
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=words, hidden_size=128, intermediate_size=288, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    ))  # fmt: skip


def chat_ids(words: PreTrainedTokenizerFast, example: Example) -> tuple[list[int], list[int]]:
    """Token ids of what is asked and of the reply with its end."""
    system, user, reply = example
    roles = [{"role": "system", "content": system}] if system else []
    asked = words.apply_chat_template(
        [*roles, {"role": "user", "content": user}], add_generation_prompt=True, tokenize=False
    )
    return (
        words(asked, add_special_tokens=False).input_ids,
        [*words(reply, add_special_tokens=False).input_ids, words.eos_token_id],
    )


def reply_loss(model: LlamaForCausalLM, chats: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Mean cross-entropy of the replies' tokens. The beginning that all chats share (the instruction) is read once."""
    columns = zip(*(asked for asked, _ in chats), strict=False)
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, columns)))
    shared = min(shared, min(len(asked) for asked, _ in chats) - 1)
    rows = [torch.tensor(asked[shared:] + reply) for asked, reply in chats]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (asked, reply) in zip(mask, chats, strict=True):
        row[len(asked) - shared : len(asked) - shared + len(reply)] = True
    with torch.autocast("cpu", torch.bfloat16):
        cache = None
        if shared:
            once = model.model(torch.tensor([chats[0][0][:shared]]), use_cache=True).past_key_values
            n = len(ids)
            cache = DynamicCache([(x.keys.repeat(n, 1, 1, 1), x.values.repeat(n, 1, 1, 1)) for x in once.layers])
        hidden = model.model(ids[:, :-1], past_key_values=cache, use_cache=shared > 0).last_hidden_state
        logits = model.lm_head(hidden[mask[:, 1:]])
    return F.cross_entropy(logits.float(), ids[:, 1:][mask[:, 1:]])
