"""What the documents say is so: recipes are accepted, commands exist, tables are in step, links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import documents
import pytest
import toys
import typer
import yaml
from documents import AWAITED, BLOCKS, MINIATURES, PAGES, CodeBlock, blocks
from realism import Step
from realism.base.errors import RealismError
from realism.cli.app import app
from realism.data.artifacts import KINDS, Artifact
from realism.parts.base import part_families
from realism.plugins import hooks
from realism.plugins.manager import Plugins
from realism.recipe.load import TOP
from realism.recipe.recipe import read_recipe
from realism.testing.plugin import pytest_addoption
from world import ROOT

shown, plugins, here = documents.shown, documents.plugins, documents.here


def as_recipe(block: CodeBlock) -> str:
    """A block as a recipe of its own: a fragment stands below `extends: base.yaml`."""
    data = yaml.safe_load(block.text)
    assert set(data) <= set(TOP), f"{block}: {set(data) - set(TOP)}"
    return block.text if "extends" in data or block.file else f"extends: base.yaml\n{block.text}"


@blocks("yaml")
def test_each_recipe_is_accepted(block: CodeBlock, here: Path, plugins: Plugins) -> None:
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
def test_what_a_command_prints_is_what_is_shown(block: CodeBlock, here: Path, plugins: Plugins) -> None:
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


def commands() -> Iterator[tuple[CodeBlock, str]]:
    for block in BLOCKS:
        if block.language in ("sh", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if block.language == "sh" or line.startswith("$ "):
                    yield block, line.removeprefix("$ ")


@pytest.mark.parametrize(("block", "command"), list(commands()), ids=[f"{b}: {c}" for b, c in commands()])
def test_each_command_exists(block: CodeBlock, command: str, here: Path, plugins: Plugins) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {a for a in arguments if "=" not in a} <= set(targets)
    elif program == "realism":
        group: Any = typer.main.get_command(app)
        context = group.context_class(group, info_name="realism")
        verb = group.get_command(context, arguments[0])
        assert verb is not None, f"no command '{arguments[0]}'"
        given = verb.make_context(arguments[0], arguments[1:], parent=context).params
        if block.language == "sh" and "overrides" in given:
            folder = re.compile(r"\bFOLDER\b(/\w+)?")
            changes = [folder.sub("photos", one) for one in given["overrides"] or []]
            read_recipe(given["recipe"], changes, plugins.registry)
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
def test_each_piece_of_code_compiles(block: CodeBlock) -> None:
    compile(block.text, str(block), "exec")


ALL_STEPS = """\
parts:
  database: {use: image_folder, path: DATABASE}
  retriever: {use: toy_retriever}
  generator: {use: toy}
  learner: {use: toy_learner}
  critic: {use: toy_critic}
  teacher: {use: toy_trainer, generator: learner}
  held_out: {use: toy_prompts, count: 3}
prompts: {use: toy_prompts}
steps:
  - index
  - retrieve
  - photographs: {images: database}
  - generate: {generator: generator}
  - score: {rewards: [critic]}
  - select: {best: critic.plausibility}
  - evaluate
  - project
  - train: {trainer: teacher, snapshots: {every: 5}}
  - generate: {generator: learner, name: learnt, references: none}
  - benchmark: {prompts: [held_out]}
  - report
"""


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the first table of docs/architecture.md below a heading, without its head."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = re.search(r"^\|.*?\n\n", text[text.index(f"\n{heading}\n") :], re.MULTILINE | re.DOTALL)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].strip().splitlines()[2:]]


def test_the_table_of_artifacts_is_in_step_with_the_code(read, write_recipe, toy_plugins: Plugins) -> None:
    recipe = read(write_recipe(ALL_STEPS))
    verbs = {e.target: e.name for e in toy_plugins.registry.entries("step") if e.plugin == "core"}
    unused = set(verbs.values())
    writers: dict[type[Artifact], set[str]] = {}
    available: dict[Artifact, None] = {}
    for step in recipe.steps:
        verb = verbs[f"{type(step).__module__}:{type(step).__qualname__}"]
        unused.discard(verb)
        for made in step.writes(available):
            writers.setdefault(type(made), set()).add(f"`{verb}`")
            available[made] = None
    assert unused == {"benchmark"}, "each verb of core stands in ALL_STEPS; benchmark stands for others"
    told = []
    for cls in (cls for cls in KINDS.values() if cls.__module__ == Artifact.__module__):
        names = [f.name for f in dataclasses.fields(cls)]
        tells = ", ".join(f"`{type(other).__name__}`" for other in cls(*names).derives_from())
        row = f"`{cls.row.__name__}`" if cls.row else ""
        call = f"`{cls.__name__}({', '.join(names)})`"
        told.append([call, f"`{cls.kind}`", row, ", ".join(sorted(writers[cls])), tells])
    assert rows_below("## Artifacts") == told


def test_the_layers_told_are_those_that_are_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["name"] == "core has layers")
    told = [[name.strip("` ") for name in first.split(",")] for first, *_ in rows_below("## The layers of core")]
    assert told == [[name.strip() for name in layer.split(":")] for layer in layers]


def test_where_the_next_thing_goes_is_there() -> None:
    roots = ("core", "generators", "retrievers", "rewards", "plugins")
    sources = "\n".join(path.read_text(encoding="utf-8") for root in roots for path in (ROOT / root).rglob("*.py"))
    for row in rows_below("## Where the next thing goes"):
        for name in re.findall(r"`([^`]+)`", " ".join(row)):
            if "NAME" in name or name == "pyproject.toml":
                continue
            if "/" in name or name.endswith(".py"):
                assert list(ROOT.glob(name)) or list(ROOT.glob(f"*/*/{name}")), f"no {name}, of which the table tells"
            elif name[0].isupper():
                assert re.search(rf"^(class )?{name}\b", sources, re.MULTILINE), f"no {name}, of which the table tells"


def test_the_scopes_told_are_those_of_the_steps(toy_plugins: Plugins) -> None:
    scopes: dict[str, set[str]] = {}
    for entry in toy_plugins.registry.entries("step"):
        if entry.plugin == "core" and issubclass(cls := entry.load(), Step):
            scopes.setdefault(f"`{cls.scope}`", set()).add(f"`{entry.name}`")
    assert {scope: set(steps.split(", ")) for scope, _, steps in rows_below("## A step")} == scopes


def test_every_hook_is_documented() -> None:
    guide, reference = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("plugins", "reference"))
    for name in vars(hooks):
        if name.startswith("realism_"):
            assert f"| `{name}` |" in guide, f"docs/plugins.md does not say when {name} is called"
            assert f"### {name}\n" in reference


def test_the_pages_made_from_code_are_in_step_with_it() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_several_values_and_maps_of_a_reward_are_in_the_reference(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    told = list(importlib.import_module("generate").values_of(toys.ToyCritic))
    assert told[0] == "- value `plausibility`: 0 to 1; more is better."
    assert told[1:] == ["- value `brightness`: 0 to 1; less is better.", "- map `dark`", ""]


def test_pages_out_of_step_are_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    generate = importlib.import_module("generate")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    for name in ("REFERENCE", "README"):
        monkeypatch.setattr(generate, name, tmp_path / f"{name}.md")
    monkeypatch.setattr(generate, "reference", lambda registry: "other")
    monkeypatch.setattr(generate, "with_overview", lambda page, registry: "another")
    assert generate.main(["--check"]) == 1
    error = capsys.readouterr().err
    assert "REFERENCE.md is out of step" in error and "README.md is out of step" in error and "make docs" in error


def test_every_part_is_in_the_table_of_the_readme(toy_plugins: Plugins, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    table = importlib.import_module("overview").overview(toy_plugins.registry)
    for family in (*part_families(), "step"):
        for entry in toy_plugins.registry.entries(family):
            assert table.count(f"[`{entry.name}`]") == 1, f"{family} {entry.name}"


def links() -> Iterator[tuple[Path, str]]:
    for page in [*PAGES, *sorted(ROOT.glob("plugins/*/README.md"))]:
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
