"""Small artifacts for steps to work on, each table in several shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from realism.base.images import write_images
from realism.base.tables import Row, write_shard
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import Heatmap, PromptRow, Reference, Sample, Score
from realism.data.types import Record
from realism.parts import Images, Index, Retriever, Step, parts_of
from realism.steps.index import BuildIndex
from realism.testing.material import picture, prompts
from realism.testing.step import carry_out, work_with

EACH = 2
"""Samples of a prompt."""
ROUNDS = 5
"""How often a step is asked what it reads, given what it has asked for before."""


def example_artifacts(step: Step, root: Path) -> dict[Artifact, Path]:
    """Four prompts, and whatever of their samples, references, scores and maps a step reads, below `root`.

    Raises AssertionError, naming it, for an artifact of which there is no example.
    """
    made: dict[Artifact, Path] = {}
    for _ in range(ROUNDS):
        new = [artifact for artifact in step.reads(list(made)) if artifact not in made]
        made |= {artifact: _example_of(artifact, step, root) for artifact in new}
        if not new:
            break
    return made


def _example_of(artifact: Artifact, step: Step, root: Path) -> Path:
    """The folder of one artifact, written below `root`: a shard for each prompt."""
    if isinstance(artifact, artifacts.ImageIndex):
        return _index(artifact, step, root)
    write = WRITERS.get(type(artifact))
    assert write, f"there is no example of {artifact}: override 'available' of the suite, which gives it to the step"
    folder = root / "given" / artifact.place
    assert artifact.row is not None
    for number in range(len(prompts())):
        write_shard(list(write(artifact, root, number)), artifact.row, folder, number)
    return folder


def _index(artifact: artifacts.ImageIndex, step: Step, root: Path) -> Path:
    """A database of two images for each prompt, indexed with the retriever that the step holds."""
    retriever = next(p for p in parts_of(step) if isinstance(p, Retriever) and p.part_name == artifact.retriever)
    work = work_with(root, {}, "index")
    return carry_out(BuildIndex(ExampleImages(root), retriever), work).path(artifact)


def write_example_images(folder: Path) -> Path:
    """A folder with a folder for each of two subjects, each with two PNG files."""
    for number in range(4):
        path = folder / ("daisy", "rose")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_images([path], [picture(number)])
    return folder


@dataclass
class ExampleRetriever(Retriever):
    """Mean colours of an image's quarters, and counts of a text's letters: an encoder without weights."""

    index: Index = "flat"  # type: ignore[assignment]

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return _unit([np.asarray(image.convert("RGB").resize((2, 2)), np.float32).ravel() + 1 for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return _unit([np.bincount([ord(letter) % 12 for letter in text], minlength=12) + 1.0 for text in texts])

    def preprocessing(self) -> str:
        return "resize to 2 x 2"


def _unit(rows: Sequence[np.ndarray]) -> np.ndarray:
    array = np.array(rows, np.float32).reshape(-1, 12)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True))


@dataclass
class ExampleImages(Images):
    """Two images for each of the suites' prompts, with its subject."""

    root: Path  # where they are written

    def records(self) -> Iterator[Record]:
        for number, prompt in enumerate(prompts()):
            for i in range(EACH):
                path = self.root / _image(self.root, f"record-{number}-{i}", 300 + 10 * number + i)
                yield Record(f"record-{number}-{i}", path, prompt.subject, {"caption": prompt.text})


def _prompts(_: Any, root: Path, number: int) -> Iterator[Row]:
    prompt = prompts()[number]
    yield PromptRow(prompt.id, prompt.text, prompt.subject)


def _samples(key: artifacts.Samples, root: Path, number: int) -> Iterator[Row]:
    prompt = prompts()[number]
    for i in range(EACH):
        path = _image(root, f"{key.arm}-{prompt.id}-{i}", 10 * number + i)
        yield Sample(
            f"{prompt.id}-{i}", prompt.id, key.arm, prompt.text, prompt.subject, i, path, 32, 32, drawn_from=prompt.text
        )


def _references(key: artifacts.References, root: Path, number: int) -> Iterator[Row]:
    prompt = prompts()[number]
    for rank in range(EACH):
        path = _image(root, f"{key.called}-{prompt.id}-{rank}", 100 + 10 * number + rank)
        name = f"r{number}-{rank}"
        yield Reference(prompt.id, rank, name, str(root / path), 0.9 - 0.1 * rank, prompt.subject)


def _scores(key: artifacts.ScoreTable, root: Path, number: int) -> Iterator[Row]:
    for i in range(EACH):
        yield Score(f"{prompts()[number].id}-{i}", key.reward, 0.1 * number + 0.3 * i)


def _maps(key: artifacts.Maps, root: Path, number: int) -> Iterator[Row]:
    for i in range(EACH):
        path = _image(root, f"map-{key.arm}-{key.reward}-{number}-{i}", 200 + 10 * number + i, "L")
        yield Heatmap(f"{prompts()[number].id}-{i}", key.reward, path)


def _image(root: Path, name: str, seed: int, mode: str = "RGB") -> str:
    """The path, relative to `root`, of an image that is written there."""
    path = root / "given" / "images" / f"{name.replace('/', '-')}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_images([path], [picture(seed, (32, 32)).convert(mode)])
    return path.relative_to(root).as_posix()


Write = Callable[[Any, Path, int], Iterator[Row]]
WRITERS: dict[type[Artifact], Write] = {
    artifacts.PromptTable: _prompts,
    artifacts.Samples: _samples,
    artifacts.References: _references,
    artifacts.ScoreTable: _scores,
    artifacts.Maps: _maps,
}
