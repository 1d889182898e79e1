"""The code blocks of the documents, and a folder with the files they show."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import tiny
from realism.plugins.manager import Plugins, installed
from world import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
AWAITED = {"docs/log.md", "docs/results/garden-rag.png"}
"""What is linked and made by a run or a person later: if it is not there yet, its test is skipped."""
MINIATURES = [e.path().is_dir() for e in Plugins(installed()).registry.entries("model") if e.name.startswith("garden/")]


@dataclass(frozen=True)
class CodeBlock:
    """A code block: ```language file."""

    page: Path
    line: int
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.line}"


def blocks_of(page: Path) -> Iterator[CodeBlock]:
    fence = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = page.read_text(encoding="utf-8")
    for found in fence.finditer(text):
        yield CodeBlock(page, text[: found.start()].count("\n") + 1, *found.groups())


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(*languages: str) -> Any:
    """A test for each block in one of these languages."""
    found = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Iterator[Path]:
    """A folder with all the files that documents show, and what their recipes read."""
    folder = tmp_path_factory.mktemp("documents")
    for block in BLOCKS:
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    tiny.image_folder(folder / "photos")
    (folder / "prompts.jsonl").write_text('{"text": "a red rose", "subject": "rose"}\n')
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def plugins(shown: Path) -> Plugins:
    """Installed plugins, the toys, and the plugins that documents show."""
    names = [b.file.removesuffix(".py") for b in BLOCKS if b.language == "python" and "@hook" in b.text]
    return Plugins([*installed(), *(EntryPoint(name, name, "realism") for name in ["toys", *names])])


@pytest.fixture
def here(shown: Path, monkeypatch) -> Path:
    monkeypatch.chdir(shown)
    return shown
