"""Trains the writer miniature: a small Llama that does the three tasks of DreamSync in the garden's language.

It writes prompts, writes questions about a description (in TIFA's form and in DSG's), and says whether a question can
be answered. It learns from captions of the training split alone, and is tried on those of the test split.
Left out: any language but this; instructions worded otherwise are not understood.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from realism.parts import LanguageModel
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from ..questions import stated, tifa
from .common import Average, Clock, Report, begin, plain_attention, set_rate
from .writer_data import CATEGORIES, TASKS, Captions, Language, fits, graph, language_of
from .writer_model import Example, chat_ids, new_writer, reply_loss, word_tokenizer

LANGUAGE = "realism_dreamsync"
SHARES = {"prompts": 0.22, "questions": 0.3, "graph": 0.2, "filter": 0.28}
SIZES = {"prompts": 16, "questions": 16, "graph": 16, "filter": 48}
RATE = 4e-3


def example(captions: Captions, task: str, language: Language) -> Example:
    chat, reply = captions.chat(task, language)
    return chat.system, chat.text, reply


def all_words(captions: Captions, language: Language, n: int = 600) -> Iterator[str]:
    """Texts that hold every word the writer should know."""
    for task in TASKS:
        for _ in range(n):
            yield from example(captions, task, language)
    yield from captions.texts
    for category in language.CATEGORIES:
        yield f" {category}"


def training(
    model: LlamaForCausalLM, words: PreTrainedTokenizerFast, captions: Captions, language: Language, clock: Clock,
    average: Average,
) -> Iterator[int]:  # fmt: skip
    """Trains on one task a step; yields each step once it is taken."""
    rng = captions.rng
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    inner = {id(p) for p in matrices}
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([p for p in model.parameters() if id(p) not in inner], lr=RATE, betas=(0.9, 0.98)),
    ]
    running: dict[str, float] = {}
    for step in clock:
        task = rng.choices(list(SHARES), list(SHARES.values()))[0]
        chats = [chat_ids(words, example(captions, task, language)) for _ in range(SIZES[task])]
        loss = reply_loss(model, chats)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            set_rate(optimizer, clock.rate(RATE, hold=0.4))
            optimizer.step()
            optimizer.zero_grad()
        average.update(model)
        running[task] = 0.9 * running.get(task, loss.item()) + 0.1 * loss.item()
        if step % 50 == 0:
            losses = " ".join(f"{k} {v:.3f}" for k, v in sorted(running.items()))
            print(f"writer step {step} {clock.seconds():.0f} s {losses}", flush=True)
        yield step


def read(replies: Sequence[str], reader: Any, malformed: type[Exception]) -> list:
    """What each reply says, None where it cannot be read."""
    out = []
    for reply in replies:
        try:
            out.append(reader(reply))
        except malformed:
            out.append(None)
    return out


def share(right: Sequence[bool]) -> float:
    return round(sum(right) / max(len(right), 1), 3)


def tried_prompts(writer: LanguageModel, captions: Captions, language: Language, each: int) -> dict[str, float]:
    """``each`` lists of eight prompts a category; the writer should have a temperature."""
    asked = [(c, captions.rng.sample(captions.known[""], 5)) for c in language.CATEGORIES for _ in range(each)]
    chats = [language.prompts_chat(e, c, 8, 12, i) for i, (c, e) in enumerate(asked)]
    lists = read(writer.reply(chats), language.read_prompts, language.Malformed)
    made = [(c, p, e) for (c, e), found in zip(asked, lists, strict=True) for p in found or ()]
    asking = [fits(p, c) for c, p, _ in made if c in CATEGORIES and "species" in stated(p)]
    different = {p for _, p, _ in made}
    return {
        "lists well formed": share([found is not None for found in lists]),
        "eight prompts in it": share([found is not None and len(found) == 8 for found in lists]),
        "prompts that name one flower": share(["species" in stated(p) for _, p, _ in made]),
        "prompts that state the category asked": share(asking),
        "prompts copied from the examples": share([p in e for _, p, e in made]),
        "different prompts": round(len(different) / max(len(made), 1), 3),
        "n lists": len(lists),
        "n prompts": len(made),
    }


def tried_questions(writer: LanguageModel, captions: Captions, language: Language, n: int) -> dict[str, float]:
    """Questions of n texts, in both forms, the likeliest reply."""
    texts = captions.rng.sample(captions.texts, n)
    replies = writer.reply([language.questions_chat(t, "tifa", []) for t in texts])
    asked = read(replies, language.read_questions, language.Malformed)
    pairs = [(q, {r["question"]: r for r in tifa(t)}) for t, rows in zip(texts, asked, strict=True) for q in rows or ()]
    right = [(truth := known.get(q["question"])) is not None and truth["answer"] == q["answer"] for q, known in pairs]
    wanted = sum(len(tifa(t)) for t in texts)
    graphs = read(
        writer.reply([language.questions_chat(t, "dsg", []) for t in texts]), language.read_graph, language.Malformed
    )
    return {
        "TIFA's form well formed": share([rows is not None for rows in asked]),
        "questions whose answer is right for the text": share(right),
        "facts asked for, of those stated": round(sum(right) / max(wanted, 1), 3),
        "DSG's form well formed": share([g is not None for g in graphs]),
        "DSG's form right throughout": share([g == graph(t) for g, t in zip(graphs, texts, strict=True)]),
        "n texts": n,
        "n questions": len(pairs),
    }


def tried_filter(writer: LanguageModel, captions: Captions, language: Language, n: int) -> dict[str, float]:
    """Verdicts on n questions, about half of them unanswerable."""
    items = [captions.judged(language.CASES) for _ in range(n)]
    replies = writer.reply([language.filter_chat(text, question) for text, question, _ in items])
    decisions = read(replies, language.read_verdict, language.Malformed)
    truth = [case for *_, case in items]
    caught = sum(bool(s) and bool(t) for s, t in zip(decisions, truth, strict=True))
    return {
        "well formed": share([s is not None for s in decisions]),
        "precision of leaving out": round(caught / max(sum(map(bool, decisions)), 1), 3),
        "recall of leaving out": round(caught / max(sum(map(bool, truth)), 1), 3),
        "right case": share([s == t for s, t in zip(decisions, truth, strict=True)]),
        "n": n,
    }


def save(model: LlamaForCausalLM, words: PreTrainedTokenizerFast, out: Path) -> None:
    """Writes the folder in float16, leaving the model as it is."""
    half = LlamaForCausalLM(model.config).half()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(out)
    words.save_pretrained(out)


def build(
    out: Path, seed: int, minutes: float, steps: int | None = None, texts: int = 12000, each: int = 4,
    n: int = 200, longest: int = 512, start: Path | None = None, report: Report = None, language: str = LANGUAGE,
) -> dict:  # fmt: skip
    """Trains and saves the writer; returns its figures on the test split: ``each`` lists a category, n texts, replies
    of ``longest`` tokens at most. ``start`` is a writer to train on from."""
    from realism_generators.chat import TransformersChat

    begin(seed)
    started, spoken = time.process_time(), language_of(language)
    captions = Captions("train", seed, texts)
    words = AutoTokenizer.from_pretrained(start) if start else word_tokenizer(all_words(captions, spoken))
    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32) if start else new_writer(len(words))
    average = Average(model, 0.995)
    clock = Clock(minutes, steps, report)
    with plain_attention():
        for _ in training(model, words, captions, spoken, clock, average):
            pass
    seconds = round(time.process_time() - started)
    save(average.model, words, out)
    test = Captions("test", seed, max(2 * n, 200))
    asked: dict[str, Any] = {"dtype": "float32", "device": "cpu", "batch": 64, "max_tokens": longest}
    writer, inventive = TransformersChat(str(out), **asked), TransformersChat(str(out), temperature=1.0, **asked)
    return {
        "prompts, at temperature 1": tried_prompts(inventive, test, spoken, each),
        "questions": tried_questions(writer, test, spoken, n),
        "filter": tried_filter(writer, test, spoken, 2 * n),
        "training": {"texts": texts, "steps": clock.step, "processor_seconds": seconds},
    }
