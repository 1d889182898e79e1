"""The processor of the vqa miniature: a BERT tokenizer of whole words, and pictures of 64 × 64 in -1 to 1."""

from __future__ import annotations

import random
import re

from transformers import BertTokenizer, BlipImageProcessor, BlipProcessor

from ..captions import LAYOUT_WORDS, PLACES, TIMES, caption
from ..questions import BINARY, NUMBERS, OPEN, VALUES
from ..scene import random_scene
from ..species import SPECIES

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 48
MORE = "yes no none is are was does do 1 2 3 ?"


def question_words(seed: int) -> list[str]:
    """All words of questions, answers and captions, sorted."""
    rng = random.Random(f"words {seed}")
    texts = [caption(random_scene(rng, SPECIES[i % len(SPECIES)]), rng) for i in range(4000)]
    texts += [wording for table in (OPEN, BINARY) for wordings in table.values() for wording in wordings]
    texts += [str(v) for values in VALUES.values() for v in values]
    texts += [*NUMBERS.values(), *LAYOUT_WORDS.values(), *(p for t in (PLACES, TIMES) for v in t.values() for p in v)]
    return sorted({w for text in [*texts, MORE] for w in re.findall(r"[a-z]+|\d|[,?]", text.replace("{animal}", ""))})


def question_processor(seed: int) -> BlipProcessor:
    """Texts to ids of whole words, unknown ones to [UNK]; pictures to 64 × 64 in -1 to 1."""
    vocab = {word: i for i, word in enumerate([*SPECIAL, *question_words(seed)])}
    words = BertTokenizer(vocab=vocab, do_lower_case=True, model_max_length=LONGEST)
    half = [0.5, 0.5, 0.5]
    return BlipProcessor(BlipImageProcessor(size={"height": 64, "width": 64}, image_mean=half, image_std=half), words)
