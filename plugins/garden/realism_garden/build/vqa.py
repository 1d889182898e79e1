"""Trains the vqa miniature: a BlipForQuestionAnswering folder that answers questions about pictures of the garden.

It learns from renders, some of them passed through the garden's autoencoder, so that drawn pictures look familiar.
All questions of a picture travel as one text whose parts do not see each other, so the picture is looked at once.
The vision tower starts from the clip miniature's. The judge never teaches: its reader only measures.
Left out: pre-training on captions, bootstrapped captions, a text longer than a question.
"""

from __future__ import annotations

import random
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import BlipConfig, BlipForQuestionAnswering, BlipProcessor

from ..questions import BINARY, OPEN, asked, dsg, stated
from ..reader import MODELS, load_reader
from ..scene import Scene
from ..species import BY_NAME
from .clip import jittered
from .common import Average, Clock, Report, any_items, begin, pictures, set_rate, to_float
from .drawn import drawn_pictures
from .sheets import answers_sheet
from .words import question_processor

BATCH, ASKED, RATE, RENDERS, WORN = 40, 12, 1.2e-3, 12000, 3000
WIDTH, HEADS, LAYERS, PATCH = 128, 4, 4, 8
CLIP, FLUX, JUDGE = (MODELS / name for name in ("clip", "flux", "judge"))
Asked = Sequence[Sequence[tuple[str, str, str]]]


def new_model(processor: BlipProcessor) -> BlipForQuestionAnswering:
    """An untrained model of the miniature's size for the words of a processor."""
    words = processor.tokenizer
    text = {
        "vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1,
        "num_attention_heads": HEADS, "max_position_embeddings": words.model_max_length, "projection_dim": WIDTH,
        "pad_token_id": words.pad_token_id, "bos_token_id": words.cls_token_id, "eos_token_id": words.sep_token_id,
        "sep_token_id": words.sep_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_hidden_layers": LAYERS, "image_size": 64,
        "num_attention_heads": HEADS, "patch_size": PATCH, "projection_dim": WIDTH, "initializer_range": 0.02,
    }  # fmt: skip
    return BlipForQuestionAnswering(BlipConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


@torch.no_grad()
def start_vision(model: BlipForQuestionAnswering, folder: Path, sample: torch.Tensor) -> None:
    """Copies an OpenCLIP vision tower into Blip's, which has the same blocks but no norm before them.

    That norm is folded into patches and places, its scale taken as the mean over the pictures in ``sample``.
    """
    theirs = {
        k[7:]: v.float()
        for k, v in load_file(folder / "open_clip_model.safetensors").items()
        if k.startswith("visual.")
    }
    conv, place, first = theirs["conv1.weight"], theirs["positional_embedding"], theirs["class_embedding"]
    patches = F.conv2d(sample, conv, stride=PATCH).flatten(2).transpose(1, 2) + place[1:]
    gain = theirs["ln_pre.weight"] / patches.std(-1).mean()
    mine = model.vision_model
    mine.embeddings.patch_embedding.weight.copy_((conv - conv.mean(0)) * gain.view(-1, 1, 1, 1))
    mine.embeddings.patch_embedding.bias.zero_()
    places = (place - place.mean(1, keepdim=True)) * gain + theirs["ln_pre.bias"]
    mine.embeddings.class_embedding.copy_(((first - first.mean()) * gain).view(1, 1, -1))
    mine.embeddings.position_embedding.copy_(places[None])
    names = {
        "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.in_proj_": "self_attn.qkv.",
        "attn.out_proj": "self_attn.projection", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    }  # fmt: skip
    renamed = {}
    for key, value in theirs.items():
        if key.startswith("transformer.resblocks."):
            key = key.removeprefix("transformer.resblocks.")
            for a, b in names.items():
                key = key.replace(a, b)
            renamed[key] = value
    mine.encoder.layers.load_state_dict(renamed)
    mine.post_layernorm.load_state_dict({k: theirs[f"ln_post.{k}"] for k in ("weight", "bias")})


class QuestionPool:
    """Scenes with their pictures, drawn once; the last ``worn`` of them passed through the autoencoder of ``flux``."""

    def __init__(self, seed: object, renders: int, worn: int, flux: Path = FLUX, named: float = 0.75):
        self.rng = random.Random(f"vqa pool {seed}")
        items = any_items(self.rng, renders + worn, named)
        self.scenes: list[Scene] = [scene for scene, _ in items]
        self.images = pictures(items)
        if worn:
            self.images[renders:] = passed(self.images[renders:], flux)

    def batch(self, n: int, each: int) -> tuple[torch.Tensor, Asked]:
        """Pictures in -1 to 1, and ``each`` questions about each of them."""
        picks = [self.rng.randrange(len(self.scenes)) for _ in range(n)]
        return to_float(self.images[picks]), [questions(self.scenes[i], self.rng, each) for i in picks]


def questions(scene: Scene, rng: random.Random, n: int) -> list[tuple[str, str, str]]:
    return asked(scene, rng, n, named=scene.species.name in BY_NAME)


@torch.no_grad()
def passed(images: torch.Tensor, flux: Path) -> torch.Tensor:
    """uint8 pictures as the autoencoder of a pipeline's folder gives them back."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(flux / "vae", dtype=torch.float32).eval()
    out = []
    for part in images.split(50):
        with torch.autocast("cpu", torch.bfloat16):
            back = vae.decode(vae.encode(to_float(part)).latent_dist.mode()).sample
        out.append(((back.float().clamp(-1, 1) + 1) * 127.5).round().byte())
    return torch.cat(out)


def softened(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Jittered pictures, one in three of the batches a little blurred before it."""
    if rng.random() < 0.33:
        small = F.interpolate(x, scale_factor=rng.uniform(0.6, 0.9), mode="bilinear", antialias=True)
        x = F.interpolate(small, size=(64, 64), mode="bilinear")
    return jittered(x, rng)


def loss_of(model: Any, words: Any, x: torch.Tensor, asked: Asked) -> torch.Tensor:
    """The cross-entropy of the answers' words, all questions [n][q] of a picture answered from one look at it.

    The answer sees the padding of its question, as it does in Blip's own generate.
    """
    n, q = len(asked), len(asked[0])
    text = words([question for those in asked for _, question, _ in those], padding=True, return_tensors="pt")
    answers = words([answer for those in asked for *_, answer in those], padding=True, return_tensors="pt").input_ids
    length = text.input_ids.shape[1]
    mask = text.attention_mask.bool()
    owner = torch.arange(q * length) // length
    seen = (owner[:, None] == owner) & mask.view(n, 1, 1, q * length)
    with torch.autocast("cpu", torch.bfloat16):
        look = model.vision_model(x)[0]
        read = model.text_encoder(
            text.input_ids.view(n, -1), torch.where(seen, 0.0, -1e4),
            position_ids=torch.arange(length).repeat(q)[None], encoder_hidden_states=look,
        )[0]  # fmt: skip
        logits = model.text_decoder(answers[:, :-1], encoder_hidden_states=read.view(n * q, length, -1)).logits
    return F.cross_entropy(logits.float().flatten(0, 1), answers[:, 1:].flatten(), ignore_index=words.pad_token_id)


@torch.no_grad()
def answer(model: Any, processor: BlipProcessor, x: torch.Tensor, questions: Sequence[Sequence[str]]) -> list[str]:
    """What plain generate answers to the questions [n][q] about pictures [n, 3, 64, 64] in -1 to 1, one after another.

    Pictures are taken 32 at a time.
    """
    out = []
    for k in range(0, len(questions), 32):
        those = questions[k : k + 32]
        text = processor(text=[t for row in those for t in row], padding=True, return_tensors="pt")
        each = torch.tensor([len(row) for row in those])
        looks = x[k : k + 32].repeat_interleave(each, 0)
        ids = model.generate(**text, pixel_values=looks, max_new_tokens=3, do_sample=False)
        out += processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
    return out


def share_right(model: Any, processor: BlipProcessor, x: torch.Tensor, asked: Asked) -> dict[str, float]:
    """The share answered right by kind of question, those with yes and no under "KIND?"; and of all."""
    answers = answer(model, processor, x, [[question for _, question, _ in those] for those in asked])
    right = defaultdict(list)
    for (kind, _, truth), word in zip((a for those in asked for a in those), answers, strict=True):
        right[kind].append(word == truth)
    every = [r for those in right.values() for r in those]
    return {k: round(sum(v) / len(v), 4) for k, v in sorted(right.items())} | {"all": round(sum(every) / len(every), 4)}


def held_out(
    model: Any, processor: BlipProcessor, seed: int, n: int, worn: bool = False, flux: Path = FLUX
) -> dict[str, float]:
    """``share_right`` on n fresh renders of the 24 species, 12 questions each; ``worn``: passed through the VAE."""
    pool = QuestionPool(f"held out {seed}", 0 if worn else n, n if worn else 0, flux, named=1.0)
    asked = [questions(scene, pool.rng, ASKED) for scene in pool.scenes]
    return share_right(model.eval(), processor, to_float(pool.images), asked)


def on_drawn(
    model: Any, processor: BlipProcessor, seed: int, prompts: int, each: int, flux: Path = FLUX, judge: Path = JUDGE
) -> dict[str, float]:
    """The same on pictures that garden/flux draws of test prompts, the truth being what the exact reader sees there.

    ``agreement`` is the share of the prompts' own yes-no questions on which model and reader say the same, and
    ``reader says yes`` how often the reader does. The reader measures here; nothing learns from it.
    """
    items, x = drawn_pictures(prompts, each, seed, flux)
    seen = load_reader(judge).read(x)
    rng = random.Random(f"drawn {seed}")
    seen_there = [{h: v[i] for h, v in seen.items()} for i in range(len(x))]
    fields = ("count", "layout", "background", "light", "companion")
    scenes = [Scene(BY_NAME[s["species"]], **{k: s[k] for k in fields}) for s in seen_there]
    # The reader does not tell sides.
    asked = [[q for q in questions(scene, rng, len(OPEN) + len(BINARY)) if "side" not in q[0]] for scene in scenes]
    facts = [stated(items[i // each].text) for i in range(len(x))]
    own = [[(f"{k}?", q["question"], q["answer"]) for k, q in zip(f, dsg(items[i // each].text), strict=True)]
           for i, f in enumerate(facts)]  # fmt: skip
    answers = iter(answer(model, processor, x, [[question for _, question, _ in those] for those in own]))
    every = [
        (next(answers) == "yes", s.get(k) == v, k) for s, f in zip(seen_there, facts, strict=True) for k, v in f.items()
    ]
    pairs = [(yes, so) for yes, so, k in every if k != "side"]
    return {
        **share_right(model, processor, x, asked), "agreement": round(sum(a == b for a, b in pairs) / len(pairs), 4),
        "model says yes": round(sum(a for a, _ in pairs) / len(pairs), 4),
        "reader says yes": round(sum(b for _, b in pairs) / len(pairs), 4),
        "pictures": len(x), "questions": sum(map(len, asked)), "own questions": len(pairs),
    }  # fmt: skip


def build(
    out: Path, seed: int, minutes: float, steps: int | None = None, renders: int = RENDERS, worn: int = WORN,
    report: Report = None, watch: float = 2.0, n: int = 400, drawn: int = 36, clip: Path = CLIP, flux: Path = FLUX,
    judge: Path = JUDGE,
) -> dict:  # fmt: skip
    """Trains and saves the model; returns its figures on n held-out renders, on as many passed through the
    autoencoder, and on 8 drawn pictures of each of so many prompts."""
    rng = begin(seed)
    processor = question_processor(seed)
    model = new_model(processor)
    pool = QuestionPool(seed, renders, worn, flux)
    start_vision(model, clip, to_float(pool.images[:64]))
    average = Average(model, 0.995)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)
    clock, watched = Clock(minutes, steps, report), 0.0
    for step in clock:
        set_rate(optimizer, clock.rate(RATE, warm=0.03, hold=0.4))
        x, asked = pool.batch(BATCH, ASKED)
        loss = loss_of(model.train(), processor.tokenizer, softened(x, rng), asked)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model)
        if step % 50 == 0:
            print(f"vqa step {step} {clock.seconds():.0f} s loss {loss.item():.3f}", flush=True)
        if not steps and clock.seconds() - watched > 60 * watch:
            watched = clock.seconds()
            print(f"vqa step {step}", held_out(average.model, processor, seed, 100), flush=True)
    save(average.model, processor, out)
    last = BlipForQuestionAnswering.from_pretrained(out, dtype=torch.float32).eval()
    return {
        "renders": {**held_out(last, processor, seed + 1, n), "pictures": n, "questions": n * ASKED},
        "renders through the autoencoder": {**held_out(last, processor, seed + 2, n, True, flux), "pictures": n},
        "pictures drawn by garden/flux": on_drawn(last, processor, seed + 3, drawn, 1 if steps else 8, flux, judge),
        "training": {"steps": clock.step, "seconds": round(clock.seconds())},
    }


def answered_sheet(folder: Path, seed: int, flux: Path = FLUX) -> Image.Image:
    """Six drawn pictures, the prompt of each, and what the model in a folder answers to open questions about it."""
    model = BlipForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
    processor = BlipProcessor.from_pretrained(folder)
    items, x = drawn_pictures(6, 1, seed, flux)
    asked = [OPEN[k][0] for k in ("species", "count", "main", "layout", "background", "light", "animal")]
    answers = answer(model, processor, x, [asked] * len(x))
    lines = [
        [
            *textwrap.wrap(item.text, 42)[:3],
            *(f"{q} {a}" for q, a in zip(asked, answers[i * 7 : i * 7 + 7], strict=True)),
        ]
        for i, item in enumerate(items)
    ]
    longest = max(map(len, lines))
    pixels = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return answers_sheet([Image.fromarray(p) for p in pixels], [[*ls, *[""] * (longest - len(ls))] for ls in lines])


def save(model: BlipForQuestionAnswering, processor: BlipProcessor, out: Path) -> None:
    """Writes a folder that transformers loads, weights in float16; tied weights once."""
    out.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(out)
    model.config.dtype = torch.float16
    model.config.architectures = ["BlipForQuestionAnswering"]
    model.config.save_pretrained(out)
    tied = {"text_decoder.cls.predictions.decoder.weight", "text_decoder.cls.predictions.decoder.bias"}
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items() if k not in tied}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
