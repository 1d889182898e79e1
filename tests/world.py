"""What the tests of framework and plugins share: a world of toys, and runs in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import toys
import yaml
from PIL import Image
from realism.cli.app import main
from realism.plugins import manager
from realism.plugins.manager import Plugins, installed
from realism.recipe.recipe import Recipe, read_recipe
from realism.runs.progress import View
from realism.runs.run import Run

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"

RAG = """\
parts:
  database: {use: image_folder, path: DATABASE}
  retriever: {use: toy_retriever}
  generator: {use: toy}
  colour: {use: toy_colour}
  likeness: {use: toy_likeness}
prompts: {use: toy_prompts}
steps:
  - index: {}
  - generate: {name: none, shard: 5}
  - retrieve: {}
  - generate: {name: retrieved, shard: 5}
  - score: {rewards: [colour, likeness]}
  - evaluate: {metrics: [toy_distance], real: database, by: novel}
  - report: {}
"""


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared data, or a skip that says so."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here: this test needs the shared photographs and numbers")
    return DATA


@pytest.fixture(scope="session")
def toy_plugins() -> Plugins:
    """All installed plugins and the toys."""
    return Plugins([*installed(), EntryPoint("toys", "toys", "realism")])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A folder of 24 pictures in four colours, one folder a colour."""
    for name, colour in toys.COLOURS.items():
        folder = tmp_path / "database" / name
        folder.mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (8, 8), tuple(max(0, c - i) for c in colour)).save(folder / f"{i}.png")
    return tmp_path / "database"


@pytest.fixture
def write_recipe(tmp_path: Path, database: Path) -> Callable[[str], Path]:
    """Write a recipe in which DATABASE stands for the folder of pictures."""

    def write(text: str = RAG, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text.replace("DATABASE", str(database)))
        return path

    return write


@pytest.fixture
def read(toy_plugins: Plugins) -> Callable[..., Recipe]:
    """Read and check a recipe in the world of toys."""
    return lambda path, *overrides: read_recipe(str(path), list(overrides), toy_plugins.registry)


@pytest.fixture
def run(read: Callable[..., Recipe], toy_plugins: Plugins, tmp_path: Path) -> Callable[..., Run]:
    """Carry out a recipe in the world of toys."""

    def carry_out(
        path: Path, *overrides: str, out: str = "run", plugins: Plugins | None = None, fresh: tuple[str, ...] = ()
    ) -> Run:
        made = Run(read(path, *overrides), tmp_path / out, plugins or toy_plugins, View(quiet=True), fresh)
        made.execute()
        return made

    return carry_out


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    """An environment in which the toys are an installed plugin."""
    info = tmp_path / "site" / "toys-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[realism]\ntoys = toys\n")
    paths = [str(info.parent), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def as_yaml(recipe: dict) -> str:
    """A recipe as text."""
    return yaml.safe_dump(recipe, sort_keys=False)


@pytest.fixture
def realism(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., tuple[int, str]]]:
    """The command line in this process, in an empty folder, with core and the toys as plugins: arguments -> exit code
    and what was printed."""
    core = [point for point in installed() if point.name == "core"]
    monkeypatch.setattr(manager, "installed", lambda: [*core, EntryPoint("toys", "toys", "realism")])
    manager.plugins.cache_clear()
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["realism", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), "".join(capsys.readouterr()).strip()

    yield command
    manager.plugins.cache_clear()
