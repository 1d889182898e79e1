"""A whole world without weights: a plugin whose parts are quick, exact and obvious, to test the framework with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from realism import (
    Generator,
    Index,
    Output,
    Picture,
    Prompt,
    Prompts,
    Request,
    Retriever,
    Reward,
    Scores,
    SetMetric,
    hook,
)
from realism.parts.metric import Features

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220), "grey": (128, 128, 128)}


@dataclass
class ToyPrompts(Prompts):
    """So many prompts about colours; every fourth asks for blue, which the toy generator does not know."""

    count: int = 12

    def prompts(self) -> Iterator[Prompt]:
        names = list(COLOURS)
        for i in range(self.count):
            name = names[i % 4]
            yield Prompt(f"p{i:03d}", f"a {name} square number {i}", name, {"novel": name == "blue"})


@dataclass
class ToyGenerator(Generator):
    """Paints the colour that the prompt names, but knows no blue; with a reference it paints the reference's colour."""

    size: int = 8
    pause: float = 0.0

    max_references = 1

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        import time

        time.sleep(self.pause * len(requests))
        return [self._paint(request) for request in requests]

    def _paint(self, request: Request) -> Image.Image:
        known = [c for n, c in COLOURS.items() if n in request.prompt.text and n != "blue"]
        colour = np.array(known[0] if known else COLOURS["grey"], np.float64)
        if request.references:
            colour = np.asarray(request.references[0], np.float64).reshape(-1, 3).mean(0)
        noise = np.random.default_rng(request.seed).normal(0, 4, (self.size, self.size, 3))
        return Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8))


@dataclass
class ToyTextOnly(Generator):
    """Takes no reference."""

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8)) for _ in requests]


@dataclass
class ToyIndex(Index):
    """Exact search in NumPy."""

    def build(self, shards: Iterable[np.ndarray], folder: Path) -> None:
        np.save(folder / "all.npy", np.concatenate(list(shards)))

    def search(
        self, folder: Path, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        similarities = queries @ np.load(folder / "all.npy").T
        if allowed is not None:
            similarities = np.where(allowed, similarities, -np.inf)
        rows = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(similarities, rows, 1).astype(np.float32)
        return found, np.where(np.isfinite(found), rows, -1)


@dataclass
class ToyRetriever(Retriever):
    """Mean colour of an image, and the colour that a text names."""

    index: Index = "toy_index"  # type: ignore[assignment]

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        means = np.stack([np.asarray(i.resize((4, 4)), np.float32).reshape(-1, 3).mean(0) + 1 for i in images])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def preprocessing(self) -> str:
        return "resize bicubic to 4 x 4"

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        colours = [next((c for n, c in COLOURS.items() if n in text), (1, 1, 1)) for text in texts]
        return self.embed_images([Image.new("RGB", (4, 4), colour) for colour in colours])


@dataclass
class ToyReward(Reward):
    """1 if the picture has the colour that is its prompt's subject, else 0."""

    range = (0.0, 1.0)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        means = [np.asarray(p.image, np.float64).reshape(-1, 3).mean(0) for p in pictures]
        nearest = [min(COLOURS, key=lambda n: float(np.abs(mean - COLOURS[n]).sum())) for mean in means]
        return Scores(torch.tensor([float(n == p.prompt.subject) for n, p in zip(nearest, pictures, strict=True)]))


@dataclass
class ToyBright(Reward):
    """How bright a picture is, 0 to 1, with the question that stands behind it."""

    range = (0.0, 1.0)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        values = brightness(pictures)
        said = ["yes" if value >= 0.5 else "no" for value in values.tolist()]
        answer = {"question": "is it bright?", "expected": "yes"}
        return Scores(values, [{"answers": [{**answer, "answer": a, "right": a == "yes"}]} for a in said])


@dataclass
class ToyCritic(Reward):
    """Two values, and a heatmap of where the picture is dark."""

    outputs: ClassVar = {"plausibility": Output((0.0, 1.0)), "brightness": Output((0.0, 1.0), higher_is_better=False)}
    map_names = ("dark",)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        colours = ToyReward().score(pictures).values
        dark = [(np.asarray(p.image.convert("L")) < 128).astype(np.float32) for p in pictures]
        details = [{"dark": float(one.mean())} for one in dark]
        return Scores({"plausibility": colours, "brightness": brightness(pictures)}, details, {"dark": dark})


@dataclass
class ToyNan(Reward):
    """Gives no finite value to a green picture."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        return Scores(torch.tensor([float("nan") if p.prompt.subject == "green" else 1.0 for p in pictures]))


@dataclass
class ToyLikeness(Reward):
    """How near the picture's mean colour is to its references', 0 (black to white) to 1 (equal)."""

    range = (0.0, 1.0)
    uses_references = True

    def score(self, pictures: Sequence[Picture]) -> Scores:
        values = []
        for picture in pictures:
            ours = np.asarray(picture.image, np.float64).mean()
            theirs = [np.asarray(r, np.float64).mean() for r in picture.references]
            values.append(1 - abs(ours - float(np.mean(theirs))) / 255)
        return Scores(torch.tensor(values, dtype=torch.float32))


def brightness(pictures: Sequence[Picture]) -> torch.Tensor:
    """(n,) means over pixels and colours, 0 to 1."""
    return torch.tensor([float(np.asarray(p.image, np.float64).mean()) / 255 for p in pictures], dtype=torch.float32)


@dataclass
class ToyDistance(SetMetric):
    """Squared distance of the means of two sets."""

    encoder: Retriever

    def measure(self, features: Features, real: Features) -> float:
        means = [np.concatenate(list(rows.blocks())).mean(0) for rows in (features, real)]
        return float(((means[0] - means[1]) ** 2).sum())


@hook
def realism_register(registry):
    registry.language("toy_endpoint", "realism_generators.endpoint:Endpoint")
    registry.prompts("toy_prompts", "toys:ToyPrompts")
    registry.generator("toy", "toys:ToyGenerator")
    registry.generator("toy_text_only", "toys:ToyTextOnly")
    registry.generator("toy_learner", "toys_learning:ToyLearner")
    registry.trainer("toy_trainer", "toys_learning:ToyTrainer")
    registry.trainer("toy_pair_trainer", "toys_learning:ToyPairTrainer")
    registry.retriever("toy_retriever", "toys:ToyRetriever")
    registry.index("toy_index", "toys:ToyIndex")
    registry.reward("toy_colour", "toys:ToyReward")
    registry.reward("toy_bright", "toys:ToyBright")
    registry.reward("toy_critic", "toys:ToyCritic")
    registry.reward("toy_nan", "toys:ToyNan")
    registry.reward("toy_likeness", "toys:ToyLikeness")
    registry.metric("toy_distance", "toys:ToyDistance")
