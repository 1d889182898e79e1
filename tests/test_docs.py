"""What the documents say is so: recipes are accepted, commands exist, code runs, links lead somewhere."""

from __future__ import annotations

import csv
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import tiny
import typer
import yaml
from realism.base.errors import RealismError
from realism.cli.app import app
from realism.plugins import hooks
from realism.plugins.manager import Plugins, installed
from realism.recipe.load import TOP
from realism.recipe.recipe import read_recipe
from realism.testing.making import cases, make_part, run_case
from realism.testing.plugin import pytest_addoption
from world import RAG, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
AWAITED = {"docs/log.md", "docs/results/garden-rag.png"}
"""What is linked and made by a run or a person later: if it is not there yet, its test is skipped."""
MINIATURES = [e.path().is_dir() for e in Plugins(installed()).registry.entries("model") if e.name.startswith("garden/")]


@dataclass(frozen=True)
class Block:
    """A code block: ```language file."""

    page: Path
    line: int
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    fence = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = page.read_text(encoding="utf-8")
    for found in fence.finditer(text):
        yield Block(page, text[: found.start()].count("\n") + 1, *found.groups())


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


def as_recipe(block: Block) -> str:
    """A block as a recipe of its own: a fragment stands below `extends: base.yaml`."""
    data = yaml.safe_load(block.text)
    assert set(data) <= set(TOP), f"{block}: {set(data) - set(TOP)}"
    return block.text if "extends" in data or block.file else f"extends: base.yaml\n{block.text}"


@blocks("yaml")
def test_each_recipe_is_accepted(block: Block, here: Path, plugins: Plugins) -> None:
    text = as_recipe(block)
    if not MINIATURES or not all(MINIATURES):
        pytest.skip("the garden or its miniatures are not there")
    (here / "checked.yaml").write_text(text)
    filled = ["photos.path=photos"] if "???" in text else []
    if block.file.startswith("wrong"):
        with pytest.raises(RealismError):
            read_recipe("checked.yaml", [], plugins.registry)
    else:
        read_recipe("checked.yaml", filled, plugins.registry)


@blocks("console")
def test_what_a_command_prints_is_what_is_shown(block: Block, here: Path, plugins: Plugins) -> None:
    if not MINIATURES or not all(MINIATURES):
        pytest.skip("the garden or its miniatures are not there")
    command, _, output = block.text.partition("\n")
    assert command.startswith("$ realism check "), "only `realism check` is shown with its output"
    with pytest.raises(RealismError) as error:
        read_recipe(command.split()[-1], [], plugins.registry)
    assert plain(output) == plain(str(error.value))


def plain(output: str) -> list[str]:
    """Lines of problems, without the hints below them, which grow with every plugin."""
    return [" ".join(line.split()) for line in output.splitlines() if not line.startswith(" " * 20)]


def commands() -> Iterator[tuple[Block, str]]:
    for block in BLOCKS:
        if block.language in ("sh", "console"):
            for line in block.text.splitlines():
                if block.language == "sh" or line.startswith("$ "):
                    yield block, line.removeprefix("$ ")


@pytest.mark.parametrize(("block", "command"), list(commands()), ids=[f"{b}: {c}" for b, c in commands()])
def test_each_command_exists(block: Block, command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {a for a in arguments if "=" not in a} <= set(targets)
    elif program == "realism":
        group: Any = typer.main.get_command(app)
        context = group.context_class(group, info_name="realism")
        verb = group.get_command(context, arguments[0])
        assert verb is not None, f"no command '{arguments[0]}'"
        verb.make_context(arguments[0], arguments[1:], parent=context)
    elif program == "pip":
        assert arguments[0] == "install"
    else:
        assert program in ("pytest", ".venv/bin/python"), f"say here how to check '{program}'"
        rest = arguments if program == "pytest" else arguments[2:]
        assert {a for a in rest if a.startswith("-")} <= {"-k", "-m", "--pyargs", *Seen().names()}


class Seen:
    """The options that our plugin of pytest adds."""

    def __init__(self) -> None:
        self.added: list[str] = []

    def names(self) -> list[str]:
        pytest_addoption(self)
        return self.added

    def getgroup(self, name: str) -> Seen:
        return self

    def addoption(self, name: str, **_: Any) -> None:
        self.added.append(name)


@blocks("python")
def test_each_piece_of_code_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_the_rewards_shown_keep_the_contract(plugins: Plugins, shown: Path) -> None:
    assert plugins.problems == []
    names = [e.name for e in plugins.registry.entries("reward") if e.plugin.startswith("realism_")]
    assert {"sharpness", "contrast"} <= set(names)
    for name, contract in cases(["sharpness", "contrast"], plugins.registry):
        if name == "sharpness" or "option" not in contract:
            run_case(name, contract, lambda name=name: make_part(name, {}, plugins.registry), plugins.registry)


def test_the_hook_shown_writes_every_score(run, write_recipe, plugins: Plugins, here: Path) -> None:
    done = run(write_recipe(RAG), plugins=plugins)
    rows = list(csv.reader((done.folder / "scores.csv").open()))
    assert len(rows) == 12 + 12 + 12
    assert {row[0] for row in rows} == {"none", "retrieved"}
    assert {row[1] for row in rows} == {"colour", "likeness"}
    assert all(0 <= float(row[-1]) <= 1 for row in rows)


def test_a_run_is_read_as_shown(run, write_recipe, here: Path, monkeypatch, capsys) -> None:
    done = run(write_recipe(RAG))
    (done.folder.parent / "runs").mkdir()
    (done.folder.parent / "runs" / "garden-rag").symlink_to(done.folder)
    monkeypatch.chdir(done.folder.parent)
    importlib.import_module("read_a_run")
    assert "references" in capsys.readouterr().out


def test_the_test_shown_for_a_reward_passes(here: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(here), "test_sharpness.py"],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout


def test_every_hook_is_documented() -> None:
    guide, reference = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("plugins", "reference"))
    for name in vars(hooks):
        if name.startswith("realism_"):
            assert f"| `{name}` |" in guide, f"docs/plugins.md does not say when {name} is called"
            assert f"### {name}\n" in reference


def test_the_reference_is_in_step_with_the_code() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_a_reference_out_of_step_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    generate = importlib.import_module("generate")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "TARGET", tmp_path / "docs" / "reference.md")
    monkeypatch.setattr(generate, "reference", lambda: "other")
    assert generate.main(["--check"]) == 1
    assert "docs/reference.md" in (said := capsys.readouterr().err) and "make docs" in said


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
        yield from ((page, target) for target in dict.fromkeys(targets) if not target.startswith("http"))


@pytest.mark.parametrize(("page", "target"), list(links()), ids=[f"{p.name}: {t}" for p, t in links()])
def test_each_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    name = file.relative_to(ROOT).as_posix()
    if name in AWAITED and not file.exists():
        pytest.skip(f"{name} is awaited")
    assert file.exists(), f"{page.name} links to {target}, which is not there"
    if anchor:
        titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert anchor in slugs, f"{page.name} links to {target}; headings: {sorted(slugs)}"
