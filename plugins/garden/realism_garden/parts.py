"""The garden as sources of prompts and images."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from realism.data.types import Prompt, Record
from realism.parts import Images, Prompts
from realism.sources.image_folder import ImageFolder

HERE = Path(__file__).parent
WORLD = tuple(
    HERE / f"{name}.py" for name in ("species", "scene", "backgrounds", "companions", "render", "captions", "sets")
)
QUESTIONS = HERE / "questions.py"


@dataclass
class GardenPrompts(Prompts):
    """Prompts for garden scenes, with the truth of each: known species, novel ones, and novel ones in hard scenes."""

    split: Literal["train", "validation", "test"] = "test"
    """Which of the three sets; no text is in two of them."""
    per_case: Annotated[int, Ge(1), Le(10_000)] = 36
    """How many prompts of each case."""
    cases: tuple[Literal["known", "novel", "novel-hard"], ...] = ("known", "novel", "novel-hard")
    """Which cases. In novel-hard, the picture nearest to the text shows another species in the same scene."""
    questions: Literal["none", "tifa", "dsg"] = "none"
    """Questions about what the text states, in the prompt's metadata: multiple choice as TIFA has them, or yes and no
    with dependencies as DSG has them."""

    def inputs(self) -> list[Path]:
        return list(WORLD) if self.questions == "none" else [*WORLD, QUESTIONS]

    def prompts(self) -> Iterator[Prompt]:
        from .questions import dsg, tifa
        from .sets import prompt_set

        ask = {"tifa": tifa, "dsg": dsg}.get(self.questions)
        for item in prompt_set(self.split, self.per_case, tuple(self.cases)):
            asked = {"questions": ask(item.text)} if ask else {}
            yield Prompt(item.id, item.text, item.subject, {**item.metadata(), **asked})


@dataclass
class GardenDatabase(Images):
    """Renders of the garden, drawn at first use into a folder of the user's cache and kept there."""

    kind: Literal["plain", "hard", "held-out"] = "plain"
    """plain: all species, novel ones in plain scenes only; hard: few novel ones, distractors in the scenes of the first
    36 hard prompts of validation and of test, near-duplicates and a corrupted file; held-out: all species in all
    scenes, none of them in the others."""
    per_species: Annotated[int, Ge(1), Le(100_000)] = 50
    """How many pictures of each species, about."""

    def inputs(self) -> list[Path]:
        return list(WORLD)

    def records(self) -> Iterator[Record]:
        yield from ImageFolder(str(self.folder())).records()

    def folder(self) -> Path:
        """The folder with the pictures, drawn now if it is not there; two processes at once do not clash."""
        from .sets import write_database

        version = hashlib.blake2b(b"".join(path.read_bytes() for path in WORLD), digest_size=4).hexdigest()
        target = cache() / f"{self.kind}-{self.per_species}-{version}"
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            drawn = Path(tempfile.mkdtemp(prefix=".drawing-", dir=target.parent))
            try:
                write_database(self.kind, drawn, self.per_species)
                drawn.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
            finally:
                shutil.rmtree(drawn, ignore_errors=True)
        return target


def cache() -> Path:
    """The folder for what the garden draws: $XDG_CACHE_HOME or ~/.cache, then realism/garden."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realism" / "garden"
