"""What the documents say is so: recipes are accepted, commands exist, code runs, links lead somewhere."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import tiny
import toys
import typer
import yaml
from realism import Step, artifacts, open_run
from realism.base.errors import RealismError
from realism.cli.app import app
from realism.data.artifacts import KINDS, Artifact, Scores
from realism.plugins import hooks
from realism.plugins.manager import Plugins, installed
from realism.plugins.registry import PART_FAMILIES
from realism.recipe.load import TOP
from realism.recipe.recipe import read_recipe
from realism.run.progress import View
from realism.run.reading import OpenRun
from realism.run.run import Run
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


OPTIONS: dict[str, dict[str, Any]] = {"tints": {"generator": {"use": "tint"}}}
"""Of parts that documents show and that need some."""
UNDOCUMENTED = ["contrast"]
"""Shown in ten lines, where options have no word said of them."""


def test_the_parts_shown_keep_the_contract(plugins: Plugins, shown: Path) -> None:
    assert plugins.problems == []
    registry = plugins.registry
    ours = [e.name for f in PART_FAMILIES for e in registry.entries(f) if (shown / f"{e.plugin}.py").exists()]
    assert set(ours) == {"tint", "contrast", "sharpness", "critic", "tints"}
    for name, contract in cases(ours, registry):
        if name not in UNDOCUMENTED or "option" not in contract:
            run_case(name, contract, lambda name=name: make_part(name, OPTIONS.get(name, {}), registry), registry)


TOYS = """\
parts:
  generator: {use: toy}
  colour: {use: toy_colour}
prompts: {use: toy_prompts, count: 6}
steps:
  - generate: {per_prompt: 3, shard: 4}
  - score: {rewards: [colour]}
"""


@pytest.fixture
def do(plugins: Plugins, here: Path, write_recipe, tmp_path: Path) -> Callable[[str], OpenRun]:
    """Carry out a recipe with the parts that documents show, and open the run."""

    def carry_out(text: str) -> OpenRun:
        recipe = read_recipe(str(write_recipe(text)), [], plugins.registry)
        made = Run(recipe, tmp_path / "run", plugins, View(quiet=True))
        made.execute()
        return open_run(made.folder)

    return carry_out


NAMES = """\
parts:
  database: {use: image_folder, path: DATABASE}
  generator: {use: toy}
  critic: {use: toy_critic}
  others: {use: toy_prompts, count: 3}
prompts: {use: toy_prompts, count: 6}
steps:
  - photographs: {images: database}
  - repeat: [4, 12]
    steps:
      - generate: {generator: {use: toy, size: "{value}"}, name: "{value} wide", per_prompt: 2}
  - score: {rewards: [critic]}
  - repeat:
      - {arm: 4 wide, least: 0.5}
      - {arm: 12 wide, least: 0.6}
    steps:
      - select: {arms: ["{arm}"], where: "critic.plausibility >= {least}", best: critic.brightness, name: "of {arm}"}
  - evaluate: {name: width, arms: [4 wide, 12 wide]}
  - evaluate: {name: selection, arms: [real, of 4 wide, of 12 wide]}
  - prompts: {source: others, name: few}
  - generate: {name: other prompts, prompts: few}
  - report
"""


def test_what_a_step_makes_is_found_by_the_name_it_was_given(do) -> None:
    run = do(NAMES)
    there = run.artifacts
    wide = ["4 wide", "12 wide", "of 4 wide", "of 12 wide"]
    assert [one.arm for one in artifacts.Samples.among(there)] == ["real", *wide, "other prompts"]
    assert {scores.reward for scores in Scores.among(there)} == {"critic.plausibility", "critic.brightness"}
    assert [one.name for one in artifacts.Measures.among(there)] == ["width", "selection"]
    assert [one.name for one in artifacts.Prompts.among(there)] == ["", "few"]
    assert {sample.width for sample in run[artifacts.Samples("12 wide")]} == {12}
    assert len({sample.prompt_id for sample in run[artifacts.Samples("other prompts")]}) == 3
    page = (run.folder / "report.html").read_text()
    assert "(width)" in page and "(selection)" in page


def test_real_images_are_an_arm_without_any_prompt(do) -> None:
    alone = NAMES[: NAMES.index("prompts:")] + "steps:\n  - photographs: {images: database, name: photos}\n"
    run = do(alone + "  - score: {rewards: [critic]}\n  - evaluate\n")
    assert {(sample.text, sample.seed, sample.generator) for sample in run["samples"]} == {
        (name, 0, "") for name in toys.COLOURS
    }


def problems_of(write_recipe, plugins: Plugins, text: str) -> str:
    with pytest.raises(RealismError) as error:
        read_recipe(str(write_recipe(text)), [], plugins.registry)
    return " ".join(str(error.value).split())


def test_the_step_shown_keeps_the_darkest_and_voids_scores(do) -> None:
    kept = do(TOYS + "  - darkest: {}\n")
    rows = list(kept["samples"])
    assert [row.prompt_id for row in rows] == [f"p{i:03d}" for i in range(6)]
    grey = partial(importlib.import_module("realism_darkest").grey, kept.folder)
    darkest: dict[str, Any] = {}
    for row in do(TOYS)["samples"]:
        darkest[row.prompt_id] = min(darkest.get(row.prompt_id, row), row, key=grey)
    assert rows == list(darkest.values())
    assert not Scores.among(kept.artifacts)


def test_what_is_said_where_the_step_shown_lacks_something_is_shown(write_recipe, plugins: Plugins, here: Path) -> None:
    guide = " ".join((ROOT / "docs" / "plugins.md").read_text().split())
    sentence = "no arm 'smaples'; did you mean 'samples'?"
    said = problems_of(write_recipe, plugins, TOYS + "  - darkest: {arm: smaples}\n")
    assert f"steps[2].darkest.arm {sentence}" in said and f"`{sentence}`" in guide
    greys = importlib.import_module("realism_greys").Greys("samples")
    assert f"`{greys.lacking([])}`" in guide


def test_the_artifact_shown_is_read_and_is_void_when_samples_are_drawn_anew(do) -> None:
    frame = do(TOYS + "  - measure_greys\n")["greys"].to_pandas()
    assert list(frame.columns) == ["arm", "id", "grey"] and len(frame) == 18 and frame["grey"].between(0, 255).all()
    with pytest.raises(RealismError, match="no 'greys' in this run"):
        do(TOYS + "  - measure_greys\n  - darkest\n")["greys"]


def test_the_trainer_shown_teaches_its_generator(do) -> None:
    learns = TOYS.replace("  colour:", "  painter: {use: tint, size: 8}\n  colour:")
    learns = learns.replace("- generate: {", "- generate: {generator: generator, ") + (
        "  - train: {trainer: tints, generator: painter, steps: 100}\n  - measure_greys\n"
        "  - generate: {generator: painter, name: before, learnt: false}\n  - measure_greys: {arm: before}\n"
        "  - generate: {generator: painter, name: after}\n  - measure_greys: {arm: after}\n"
    )
    means = do(learns)["greys"].to_pandas().groupby("arm").grey.mean()
    assert abs(means["before"] - 127.5) < 4
    assert abs(means["after"] - means["samples"]) < 8 < abs(means["before"] - means["samples"])


def test_the_notes_shown_are_written(do) -> None:
    done = do(TOYS)
    first, *steps = [json.loads(line) for line in (done.folder / "notes.jsonl").read_text().splitlines()]
    assert first["name"] == "recipe" and first["parts"] == ["generator", "colour"] and "torch" in first["versions"]
    assert [step["step"] for step in steps] == ["prompts", "generate samples", "score"]
    assert [step["done"] for step in steps] == [0, 1, 2]


def test_the_hook_shown_writes_every_score(run, write_recipe, plugins: Plugins, here: Path) -> None:
    done = run(write_recipe(RAG), plugins=plugins)
    rows = list(csv.reader((done.folder / "scores.csv").open()))
    assert len(rows) == 12 + 12 + 12
    assert {row[0] for row in rows} == {"none", "retrieved"}
    assert {row[1] for row in rows} == {"colour", "likeness"}
    assert all(0 <= float(row[-1]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("file", "said"), [("read_a_run", "references"), ("read_without_us", "references"), ("read_garden", "likeness")]
)
def test_a_run_is_read_as_shown(file: str, said: str, run, write_recipe, here: Path, monkeypatch, capsys) -> None:
    done = run(write_recipe(RAG))
    (done.folder.parent / "runs").mkdir()
    for name in ("garden", "garden-rag"):
        (done.folder.parent / "runs" / name).symlink_to(done.folder)
    monkeypatch.chdir(done.folder.parent)
    importlib.import_module(file)
    assert said in capsys.readouterr().out


TESTS = [block.file for block in BLOCKS if block.file.startswith("test_")]


@pytest.mark.parametrize("file", TESTS)
def test_each_test_shown_passes(file: str, here: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(here), file],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout


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
  - train: {trainer: teacher}
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
    there: dict[Artifact, None] = {}
    for step in recipe.steps:
        verb = verbs[f"{type(step).__module__}:{type(step).__qualname__}"]
        unused.discard(verb)
        for made in step.writes(there):
            writers.setdefault(type(made), set()).add(f"`{verb}`")
            there[made] = None
    assert unused == {"benchmark"}, "each verb of core stands in ALL_STEPS; benchmark stands for others"
    told = []
    for cls in (cls for cls in KINDS.values() if cls.__module__ == Artifact.__module__):
        names = [f.name for f in dataclasses.fields(cls)]
        tells = ", ".join(f"`{type(other).__name__}`" for other in cls(*names).tells_of())
        row = f"`{cls.row.__name__}`" if cls.row else ""
        call = f"`{cls.__name__}({', '.join(names)})`"
        told.append([call, f"`{cls.kind}`", row, ", ".join(sorted(writers[cls])), tells])
    assert rows_below("## Artifacts") == told


def test_the_layers_told_are_those_that_are_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["name"] == "core has layers")
    told = [[name.strip("` ") for name in first.split(",")] for first, *_ in rows_below("## The layers of core")]
    assert told == [[name.strip() for name in layer.split(":")] for layer in layers]


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


def test_the_reference_is_in_step_with_the_code() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_several_values_and_maps_of_a_reward_are_in_the_reference(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    told = list(importlib.import_module("generate").values_of(toys.ToyCritic))
    assert told[0] == "- value `plausibility`: 0 to 1; more is better."
    assert told[1:] == ["- value `brightness`: 0 to 1; less is better.", "- map `dark`", ""]


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
