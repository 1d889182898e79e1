"""The prompts of benchmarks of faithfulness, as their authors publish them; TIFA's and DSG's with their questions."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from realism.base.errors import RealismError, listed, nearest
from realism.base.files import user_path
from realism.base.plain import parse_json
from realism.base.text_files import numbered_lines, read_text
from realism.data.types import Prompt
from realism.parts import Prompts
from realism_rewards.dsg_files import read_items

TIFA_TEXTS = "tifa_v1.0_text_inputs.json"
TIFA_QUESTIONS = "tifa_v1.0_question_answers.json"
TIFA_NEEDED = ("question", "choices", "answer")
TIFA_FIELDS = (*TIFA_NEEDED, "element", "element_type")
DSG_FILE = "dsg-1k-anns.csv"
Category = Literal["color", "shape", "texture", "spatial", "3d_spatial", "numeracy", "non_spatial", "complex"]
"""Of T2I-CompBench; 3d_spatial and numeracy came with its extension."""


class BenchmarkPrompts(Prompts):
    """Prompts of a published file, some or all of them."""

    @abstractmethod
    def read(self) -> list[Prompt]:
        """All prompts, in the order of the file. Raises RealismError for what only a look into the file shows."""

    @abstractmethod
    def wanted(self) -> tuple[str, Sequence[str]]:
        """A key of the metadata, and which values of it are wanted; all, if none is named."""

    def prompts(self) -> Iterator[Prompt]:
        if problem := self.options_error():
            raise RealismError(problem)
        prompts, (key, names) = self.read(), self.wanted()
        available = {prompt.metadata[key] for prompt in prompts}
        for name in names:
            if name not in available:
                raise RealismError(
                    f"no prompt of {key} '{name}'; there are {listed(available)}{nearest(name, available)}"
                )
        yield from (prompt for prompt in prompts if not names or prompt.metadata[key] in names)


@dataclass
class Tifa(BenchmarkPrompts):
    """TIFA v1.0: 4,081 captions from COCO, DrawBench, PartiPrompts and PaintSkills. Source: Hu et al. 2023.

    The metadata has `source`, from the id ("coco_301091": coco), and `questions` where there is a file of them; then
    captions without a question are left out.
    """

    path: str
    """The file tifa_v1.0_text_inputs.json or the folder that holds it; or a file of questions, whose captions it takes.
    In a folder, tifa_v1.0_question_answers.json is taken too, if it is there."""
    questions: str = ""
    """The file of questions, if it lies elsewhere."""
    sources: list[str] = field(default_factory=list)
    """Which sources to take: coco, drawbench, partiprompt, paintskill; all, if none is named."""

    def inputs(self) -> list[Path]:
        return [path for path in self._files() if path.is_file()]

    def options_error(self) -> str | None:
        missing = next((path for path in self._files() if not path.is_file()), None)
        if missing is None:
            return None
        return (
            f"no file '{missing}': {TIFA_TEXTS} and {TIFA_QUESTIONS} are in the folder tifa_v1.0 of the repository "
            "Yushi-Hu/tifa"
        )

    def wanted(self) -> tuple[str, Sequence[str]]:
        return "source", self.sources

    def read(self) -> list[Prompt]:
        captions: dict[str, Prompt] = {}
        questions: dict[str, list[dict[str, Any]]] = {}
        texts, *more = self._files()
        for path in (texts, *more):
            for place, row in _rows(path):
                id = row["id"]
                if "question" in row:
                    questions.setdefault(id, []).append(_question(place, row))
                elif id in captions:
                    raise RealismError(f"{place}: id '{id}' stands twice; give each caption an id of its own")
                if path == texts:
                    known = {k: v for k, v in row.items() if k not in ("id", "caption", *TIFA_FIELDS)}
                    captions[id] = Prompt(id, row["caption"], "", {**known, "source": id.rpartition("_")[0]})
                elif id not in captions:
                    raise RealismError(f"{place}: a question on '{id}', which is no caption in '{texts}'")
        if not questions:
            return list(captions.values())
        asked = [prompt for prompt in captions.values() if prompt.id in questions]
        return [Prompt(p.id, p.text, "", {**p.metadata, "questions": questions[p.id]}) for p in asked]

    def _files(self) -> list[Path]:
        """The file of captions, and the file of questions if there is one."""
        path = user_path(self.path)
        questions = [user_path(self.questions)] if self.questions else []
        if path.is_dir():
            questions = questions or [beside for beside in (path / TIFA_QUESTIONS,) if beside.is_file()]
            path = path / TIFA_TEXTS
        return [path, *questions]


@dataclass
class Dsg(BenchmarkPrompts):
    """DSG-1k: 1,060 prompts of ten sources, each with a graph of yes-or-no questions. Source: Cho et al. 2024.

    The metadata has `source` (whoops), `category` (defying) and `questions`, with ids and parents. Where a cell of the
    file names no parent ("5, right"), no question of the prompt has parents, as in the published numbers.
    """

    path: str
    """The file dsg-1k-anns.csv, or the folder that holds it."""
    categories: list[str] = field(default_factory=list)
    """Which categories to take: tifa, paragraph, relation, count, real_user, pose, defying, text; all, if none is
    named."""

    def inputs(self) -> list[Path]:
        return [self._file()]

    def options_error(self) -> str | None:
        if self._file().is_file():
            return None
        return f"no file '{self._file()}': {DSG_FILE} is in the repository j-min/DSG"

    def wanted(self) -> tuple[str, Sequence[str]]:
        return "category", self.categories

    def read(self) -> list[Prompt]:
        items = read_items(self._file())
        if broken := [item for item in items if item.broken]:
            logging.getLogger("realism").warning(
                "%s: the dependencies of %d of %d prompts are left out, as a cell names no question of theirs; the "
                "first is '%s' of %s", self._file(), len(broken), len(items), broken[0].broken[0], broken[0].id,
            )  # fmt: skip
        return [
            Prompt(i.id, i.text, "", {"source": i.source, "category": i.category, "questions": i.questions})
            for i in items
        ]

    def _file(self) -> Path:
        path = user_path(self.path)
        return path / DSG_FILE if path.is_dir() else path


@dataclass
class T2iCompBench(BenchmarkPrompts):
    """T2I-CompBench and its extension: lists of prompts on attributes, relations, numbers and what is complex, 300 for
    evaluation and 700 for training in most categories. Source: Huang et al. 2023.

    The metadata has `category` and `split`. Ids are made of the file and the line: "color_val_00001".
    """

    path: str
    """The folder examples/dataset of its repository, with color_val.txt and others: one prompt a line; of a line with
    tabs, what stands before the first."""
    categories: list[Category] = field(default_factory=list)
    """Which categories to take; all that are there, if none is named."""
    split: Literal["val", "train"] = "val"
    """val is what the paper evaluates on."""

    def inputs(self) -> list[Path]:
        return [path for path in self._files().values() if path.is_file()]

    def options_error(self) -> str | None:
        missing = next((path for path in self._files().values() if not path.is_file()), None)
        if self._files() and missing is None:
            return None
        return (
            f"no file '{missing or Path(self.path) / f'color_{self.split}.txt'}': the lists are in the folder "
            "examples/dataset of the repository Karine-Huang/T2I-CompBench"
        )

    def wanted(self) -> tuple[str, Sequence[str]]:
        return "category", self.categories

    def read(self) -> list[Prompt]:
        prompts = []
        for category, path in self._files().items():
            for number, line in numbered_lines(path):
                if text := line.partition("\t")[0].strip():
                    metadata = {"category": category, "split": self.split}
                    prompts.append(Prompt(f"{path.stem}_{number:05d}", text, "", metadata))
        return prompts

    def _files(self) -> dict[str, Path]:
        """The lists by category."""
        folder = user_path(self.path)
        files = {name: folder / f"{name}_{self.split}.txt" for name in self.categories or get_args(Category)}
        return files if self.categories else {name: path for name, path in files.items() if path.is_file()}


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list, each with an id and a caption, and where each stands."""
    rows = parse_json(read_text(path), str(path))
    if not isinstance(rows, list):
        raise RealismError(f"{path}: expected a list of objects with id and caption, as TIFA publishes them")
    for number, row in enumerate(rows, 1):
        place = f"{path}, object {number}"
        for key in ("id", "caption"):
            if not isinstance(row, dict) or not isinstance(row.get(key), str) or not row[key].strip():
                raise RealismError(f"{place}: no {key}; expected objects with id and caption, as TIFA publishes them")
        yield place, row


def _question(place: str, row: dict[str, Any]) -> dict[str, Any]:
    if missing := next((key for key in TIFA_NEEDED if key not in row), None):
        raise RealismError(f"{place}: a question without {missing}; it needs {listed(TIFA_NEEDED)}")
    return {key: row[key] for key in TIFA_FIELDS if key in row}
