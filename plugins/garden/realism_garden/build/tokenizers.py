"""The tokenizers of the miniatures: CLIP's byte-pair encoding and T5's unigrams, learned from garden captions.

The captions name invented species only, so no name of the 24 becomes one piece: all are spelt in pieces.
"""

from __future__ import annotations

import json
import random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5TokenizerFast

from ..captions import caption
from ..scene import random_scene
from ..species import random_species

LETTERS = "abcdefghijklmnopqrstuvwxyz.,-'0123456789"
TOKENS = 32  # the length that every caption is padded to, in training and in the pipelines


def sample_captions(seed: int, n: int = 6000) -> list[str]:
    rng = random.Random(f"tokenizer {seed}")
    return [caption(random_scene(rng, random_species(rng)), rng) for _ in range(n)]


def t5_tokenizer(seed: int, size: int = 640) -> T5TokenizerFast:
    """A T5 tokenizer of about ``size`` unigram pieces, scored so that the fewest pieces win, then the commonest.

    The pieces are byte pairs: the unigram trainer itself split even common words when names were many.
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    letters = ["▁", *LETTERS]
    trainer = trainers.BpeTrainer(vocab_size=size - 3, initial_alphabet=letters, show_progress=False)
    raw.train_from_iterator(sample_captions(seed), trainer)
    pieces = sorted(raw.get_vocab().items(), key=lambda item: item[1])
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5TokenizerFast(
        vocab=special + [(p, -10 - 0.001 * i) for p, i in pieces], extra_ids=0, model_max_length=TOKENS
    )


def clip_tokenizer(seed: int, size: int = 640) -> CLIPTokenizer:
    """A CLIP tokenizer of about ``size`` byte pairs."""
    empty = CLIPTokenizer()  # its normalizer and pre-tokenizer are what the trained pairs must fit
    raw = empty.backend_tokenizer
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # The trainer numbers letters that end a word in the order of a hash map, unless they are there already.
    first = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in LETTERS)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=first, end_of_word_suffix="</w>", initial_alphabet=letters,
        show_progress=False,
    )  # fmt: skip
    raw.train_from_iterator(sample_captions(seed), trainer)
    model = json.loads(raw.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split()) for m in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges, model_max_length=TOKENS)
