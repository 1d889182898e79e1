"""What the guide to plugins promises of the contract is so in the code, and its plugins work together."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import documents
import pytest
import realism
import toys
from documents import BLOCKS
from PIL import Image
from realism import Artifact, Part, Reward, Step, artifacts, hook, read_image, rows, write_images
from realism.base.errors import RealismError
from realism.data.artifacts import KINDS
from realism.notebook.running import ShownRun
from realism.parts.base import FAMILIES, one_of
from realism.plugins.manager import Plugins, installed
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run
from world import ROOT

shown, plugins, here = documents.shown, documents.plugins, documents.here
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
WHOLE = ["realism_critic", "realism_mean_gap", "realism_tint", "realism_darkest", "realism_tints"]
SHOWN = {b.file.removesuffix(".py"): b.text for b in BLOCKS if b.page.name == "plugins.md" and b.language == "python"}


def table(head: str) -> list[list[str]]:
    """The cells of the table of the guide with that head."""
    text = GUIDE[GUIDE.index(head) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_plugin_is_one_file_of_at_most_40_lines_of_code(name: str) -> None:
    assert len([line for line in SHOWN[name].splitlines() if line.strip()]) <= 40


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_the_plugins_shown_import_of_us_what_is_exported(name: str) -> None:
    for node in ast.walk(ast.parse(SHOWN[name])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "realism":
            assert node.module in ("realism", "realism.testing"), f"{name}: {node.module}"
            exported = sys.modules[node.module].__all__
            assert {alias.name for alias in node.names} <= set(exported)


def test_all_that_is_exported_is_there() -> None:
    assert all(getattr(realism, name) is not None for name in realism.__all__)
    with pytest.raises(AttributeError, match="module 'realism' has no attribute 'nonsense'"):
        realism.nonsense  # noqa: B018


def test_to_import_it_imports_nothing_heavy() -> None:
    code = (
        "import realism, sys\nprint(*({'torch', 'numpy', 'pandas', 'PIL', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_what_is_to_be_written_is_what_is_abstract() -> None:
    documented = set()
    for family, cls, write, suite in table("| family | inherit |"):
        kind = getattr(realism, cls.strip("`"))
        documented.add(kind)
        written = set(re.findall(r"`(\w+)", write))
        assert kind.__abstractmethods__ <= written, (
            f"{family}: {kind.__abstractmethods__ - written} is not in the guide"
        )
        assert hasattr(realism.testing, suite.strip("`"))
    assert {cls for cls in FAMILIES.values() if cls.__module__.startswith("realism.")} <= documented


def overrides(cls: type) -> Iterator[tuple[str, str]]:
    """The methods of core's classes that a class, or one it inherits from, overrides though they are not abstract."""
    core = [base for base in cls.__mro__ if base.__module__ in ("realism.data.artifacts", *PARTS) and base in ABSTRACT]
    for base in (base for base in cls.__mro__ if base not in core):
        for name, value in vars(base).items():
            owner = next((up for up in core if name in vars(up)), None)
            if name[0] != "_" and owner and (inspect.isfunction(value) or isinstance(value, property)):
                function = vars(owner)[name]
                function = function.fget if isinstance(function, property) else function
                if not getattr(function, "__isabstractmethod__", False):
                    yield owner.__name__, name


PARTS = {base.__module__ for cls in FAMILIES.values() for base in cls.__mro__}
ABSTRACT = {base for cls in FAMILIES.values() for base in cls.__mro__} | {Artifact}


def test_what_may_be_overridden_is_what_our_own_parts_override() -> None:
    registry = Plugins(installed()).registry
    classes = [entry.load() for entry in registry.entries(*FAMILIES)]
    found = {one for cls in (*classes, *KINDS.values()) for one in overrides(cls)}
    allowed = {(of.strip("`"), name) for of, names in table("| of | which |") for name in re.findall(r"`(\w+)`", names)}
    assert found <= allowed, f"our own parts override {found - allowed}, which the guide forbids"
    named = {cls.__name__: cls for cls in ABSTRACT}
    assert all(hasattr(named[of], name) for of, name in allowed)


TOGETHER = """\
parts:
  painter: {use: tint, size: 8}
  shown: {use: toy}
  critic: {use: critic}
  gap: {use: mean_gap, encoder: toy_retriever}
  photos: {use: image_folder, path: DATABASE}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate: {generator: shown, per_prompt: 4}
  - darkest
  - train: {trainer: tints, generator: painter, steps: 100}
  - generate: {generator: painter, name: before, trained: false, per_prompt: 2}
  - generate: {generator: painter, name: after, per_prompt: 2}
  - score: {rewards: [critic], arms: [before, after]}
  - select: {arms: [after], where: "critic.dark < 0.9", name: light}
  - evaluate: {arms: [before, after], metrics: [gap], real: photos}
  - report
"""


def test_the_whole_plugins_work_together_in_one_recipe(write_recipe, plugins: Plugins, tmp_path: Path) -> None:
    recipe = read_recipe(str(write_recipe(TOGETHER)), [], plugins.registry)
    run = Run(recipe, tmp_path / "run", plugins, View(quiet=True))
    run.execute()
    done = realism.open_run(run.folder)
    measures = {(row.name, row.arm): row.value for row in done[artifacts.Measures("")]}
    assert {"critic.dark", "critic.grey", "gap"} <= {name.split(" ")[0] for name, _ in measures}
    before, after, samples = (mean_grey(done, arm) for arm in ("before", "after", "samples"))
    assert abs(before - 127.5) < 4 and abs(after - samples) < 6
    assert "critic" in (run.folder / "report.html").read_text()


def mean_grey(run: ShownRun, arm: str) -> float:
    """The mean grey level of an arm's pictures, 0 to 255."""
    images = [read_image(run.folder / sample.image).convert("L") for sample in run[artifacts.Samples(arm)]]
    return sum(image.resize((1, 1)).getpixel((0, 0)) for image in images) / len(images)


class Filter(Part):
    """Changes pictures."""

    family, noun = "filter", "picture filter"

    def apply(self, image: Image.Image) -> Image.Image:
        raise NotImplementedError


@dataclass
class Invert(Filter):
    """Turns light into dark."""

    def apply(self, image: Image.Image) -> Image.Image:
        return image.point(lambda level: 255 - level)


@dataclass
class Apply(Step):
    """Change the pictures of the samples with a filter."""

    filter: Filter  # what changes them

    def reads(self, available):
        return [artifacts.Samples("samples")]

    def writes(self, available):
        return [artifacts.Samples("samples")]

    def run(self, work):
        work.map(artifacts.Samples("samples"), work.shards(artifacts.Samples("samples")), self._apply(work))

    def _apply(self, work):
        def apply(number: int, samples: list[rows.Sample]) -> tuple[list[rows.Sample], list[rows.Skipped]]:
            from dataclasses import replace

            paths = [work.folder / f"{sample.id}.png" for sample in samples]
            write_images(paths, [self.filter.apply(read_image(work.root / sample.image)) for sample in samples])
            moved = [path.relative_to(work.root).as_posix() for path in paths]
            return [replace(sample, image=image) for sample, image in zip(samples, moved, strict=True)], []

        return apply


@hook
def realism_register(registry):
    registry.filter("invert", "test_contract:Invert")
    registry.step("apply", "test_contract:Apply")


@pytest.fixture
def filters(toy_plugins: Plugins) -> Plugins:
    return Plugins([*installed(), *(EntryPoint(n, n, "realism") for n in ("toys", "test_contract"))])


STEPS = """\
parts:
  generator: {use: toy}
  negative: {use: invert}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate
  - apply
"""


def test_a_family_of_a_plugin_needs_no_other_file(filters: Plugins, write_recipe, tmp_path: Path) -> None:
    assert filters.problems == [] and one_of("filter") == "a picture filter"
    recipe = read_recipe(str(write_recipe(STEPS)), [], filters.registry)
    run = Run(recipe, tmp_path / "run", filters, View(quiet=True))
    run.execute()
    first = next(iter(realism.open_run(run.folder)["samples"]))
    assert first.subject == "red" and read_image(run.folder / first.image).getpixel((0, 0))[0] < 128
    with pytest.raises(RealismError) as error:
        read_recipe(str(write_recipe(STEPS.replace("use: invert", "use: toy_colour"))), [], filters.registry)
    assert "'filter' must be given: there is no picture filter among the parts" in str(error.value)


def test_a_family_that_nobody_declares_is_named(filters: Plugins) -> None:
    with pytest.raises(AttributeError, match=r"there is no family 'rewrad'; did you mean 'reward'\?; there are: "):
        filters.registry.rewrad("a", "b:C")


JUDGED = """\
parts:
  generator: {use: toy}
  colour: {use: toy_colour, held_out: true}
  bright: {use: toy_bright}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate: {per_prompt: 2}
  - score: {rewards: [colour, bright]}
  - select: {where: "bright >= 0.1", best: bright}
  - evaluate
"""


def test_a_reward_that_is_held_out_evaluates_and_nothing_is_selected_by_it(filters: Plugins, write_recipe) -> None:
    read_recipe(str(write_recipe(JUDGED)), [], filters.registry)
    for select, option in (('where: "colour >= 0.5"', "where"), ("best: colour", "best")):
        recipe = JUDGED.replace('where: "bright >= 0.1", best: bright', select)
        with pytest.raises(RealismError) as error:
            read_recipe(str(write_recipe(recipe)), [], filters.registry)
        said = " ".join(str(error.value).split())
        assert f"steps[2].select.{option} 'colour' is held out, so it may evaluate" in said


@dataclass
class Guided(toys.ToyTextOnly):
    """Is guided by a reward."""

    by: Reward = None  # what guides it


def test_nothing_is_guided_by_a_reward_that_is_held_out(filters: Plugins, write_recipe) -> None:
    filters.registry.generator("guided", "test_contract:Guided")
    recipe = JUDGED.replace("{use: toy}", "{use: guided, by: colour}")
    with pytest.raises(RealismError, match="'colour' is held out"):
        read_recipe(str(write_recipe(recipe)), [], filters.registry)
    read_recipe(str(write_recipe(recipe.replace("by: colour", "by: bright"))), [], filters.registry)
