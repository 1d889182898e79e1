"""Write docs/reference.md and the table of README.md from the code: `make docs`. With --check, only say whether they
are in step: `make check`.

They show Realism itself and the plugins in this repository, whatever else is installed.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import typer
from overview import FAMILIES, anchor, title, with_overview
from realism import parts
from realism.base.errors import RealismError
from realism.cli.app import app
from realism.cli.listing import type_name
from realism.data import artifacts, rows, types
from realism.parts import Part
from realism.parts.base import FAMILIES as DECLARED
from realism.parts.base import one_of, part_families
from realism.parts.work import RunInfo, StepRecord, Table, Work
from realism.plugins import hooks
from realism.plugins.manager import Plugins, installed
from realism.plugins.registry import Entry, Registry
from realism.recipe.load import shipped
from realism.recipe.options import Option, documented_options
from realism.recipe.reader import read_yaml
from realism.testing import TunableSuite
from realism.testing.making import suites_of
from typer.core import TyperGroup
from writing import prose, table

ROOT = Path(__file__).parents[1]
REFERENCE, README = ROOT / "docs" / "reference.md", ROOT / "README.md"
NOUNS = (
    types.Prompt, types.Record, types.Hit, types.Request, types.Unmade, types.Picture, parts.Scores,
    parts.Output, parts.Chat,
)  # fmt: skip
PUBLIC = [getattr(parts, name) for name in parts.__all__ if name != "Part"]
CLASSES: tuple[type, ...] = (Part, *(cls for cls in PUBLIC if isinstance(cls, type) and issubclass(cls, Part)))
INTRO = """\
# Reference

Every part, step, shipped recipe, command, artifact, family and hook, with its options. This page is written from the
code by `make docs`, so do not edit it; `make check` fails when the two differ. Defaults are shown as a recipe writes
them: where a type says "or none", that is `null`.
"""


DECLARES = ("family =", "noun =", "suite =")
"""How a class declares a family, which tells nothing of its parts."""


def own_plugins() -> Plugins:
    """Realism and the plugins of this repository. Raises SystemExit naming one that is not installed or in trouble."""
    files = sorted(ROOT.glob("plugins/*/pyproject.toml"))
    names = {"realism"} | {tomllib.loads(f.read_text(encoding="utf-8"))["project"]["name"] for f in files}
    points = [p for p in installed() if p.dist and p.dist.name in names]
    absent = names - {p.dist.name for p in points if p.dist}
    if absent:
        raise SystemExit(f"docs/generate.py: not installed: {', '.join(sorted(absent))}; run `make env`")
    found = Plugins(points)
    if found.problems:
        raise SystemExit("docs/generate.py: " + "\n".join(found.problems))
    return found


def written_default(option: Option) -> str:
    """A default as a recipe would write it."""
    if option.default is MISSING:
        return f"the recipe's one {option.part_class.family}" if option.part_class else "must be given"
    if isinstance(option.default, str) and option.default:
        return f"`{option.default}`"
    return f"`{json.dumps(option.default)}`"


def options_table(cls: type[Part]) -> Iterator[str]:
    rows = [
        (f"`{o.name}`", f"`{type_name(o.hint)}`", written_default(o), prose(o.doc)) for o in documented_options(cls)
    ]
    if rows:
        yield from table(("option", "type", "default", "what it is"), *rows)
    else:
        yield "No options.\n"


def body_of(thing: Any) -> list[ast.stmt]:
    node = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    assert isinstance(node, ast.ClassDef)
    return node.body


def signature(function: Any) -> str:
    """`name(a: int) -> str`, as the source has it."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self").removeprefix("cls")
    return f"{node.name}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def hook_pages() -> Iterator[str]:
    yield "## Hooks\n"
    yield "A plugin marks a function of this name with `@hook` from `realism`. It may leave out arguments that it does"
    yield "not need. How to write one: [plugins.md](plugins.md).\n"
    for name, function in vars(hooks).items():
        if name.startswith("realism_"):
            yield f"### {name}\n"
            yield f"```python\ndef {signature(function)}: ...\n```\n"
            yield prose(function.__doc__) + "\n"


def noun_pages() -> Iterator[str]:
    yield "## Nouns\n"
    yield "What travels between parts. All are frozen dataclasses, imported from `realism`.\n"
    for cls in NOUNS:
        yield from fields_page(cls)


def fields_page(cls: type) -> Iterator[str]:
    """What a dataclass is, and its fields."""
    yield f"### {cls.__name__}\n"
    yield prose(cls.__doc__) + "\n"
    yield "```python"
    yield from (ast.unparse(n) for n in body_of(cls) if isinstance(n, ast.AnnAssign))
    yield "```\n"


def family_pages() -> Iterator[str]:
    yield "## Families\n"
    yield "The abstract classes. A part inherits from one of them and is a dataclass. Import them from `realism`.\n"
    for cls in CLASSES:
        base = cls.__mro__[1]
        yield f"### {cls.__name__}\n"
        yield prose(cls.__doc__) + "\n"
        if base in CLASSES[1:]:
            yield f"Inherits `{base.__name__}`:\n"
        yield from members(cls)


def artifact_pages(registry: Registry) -> Iterator[str]:
    """The artifacts of core and of the plugins here, whose steps are loaded so that theirs are known."""
    for entry in registry.entries("step"):
        entry.load()
    ours = {cls.__module__ for cls in (artifacts.Artifact, *(e.load() for e in registry.entries("step")))}
    roots = {module.split(".")[0] for module in ours}
    kinds = [cls for cls in artifacts.KINDS.values() if cls.__module__.split(".")[0] in roots]
    yield "## Artifacts\n"
    yield "What steps hand to one another: keys, which a step names in `reads` and `writes`. Those of core are imported"
    yield "from `realism.data.artifacts`. Each lies below the folder of the step that writes it, at its `place`. When"
    yield "what one tells of is made anew, it is void. How it is used: [architecture.md](architecture.md#artifacts).\n"
    written = []
    for cls in kinds:
        key = named(cls)
        tells = ", ".join(f"`{call_of(told)}`" for told in key.derives_from()) or "nothing"
        row = f"`{cls.row.__name__}`" if cls.row else "a folder"
        written.append((f"`{call_of(key)}`", f"`{cls.kind}`", row, f"`{key.place}`", tells, prose(cls.__doc__)))
    yield from table(("artifact", "kind", "rows", "place", "tells of", "what it is"), *written)
    yield "### Artifact\n"
    yield prose(artifacts.Artifact.__doc__) + "\n"
    yield from members(artifacts.Artifact, "")
    yield "## Rows\n"
    yield "What the tables hold, which are Parquet: a column for each field. Those of core are imported from"
    yield "`realism.data.rows`.\n"
    for row in dict.fromkeys(cls.row for cls in kinds if cls.row):
        yield from fields_page(row)
    yield from fields_page(rows.Skipped)


def named(cls: type[artifacts.Artifact]) -> artifacts.Artifact:
    """An artifact whose names are those of its fields."""
    return cls(*(field.name for field in fields(cls)))


def call_of(key: artifacts.Artifact) -> str:
    """How it is written in Python."""
    return f"{type(key).__name__}({', '.join(name for name in key.names if name)})"


def work_pages() -> Iterator[str]:
    yield "## What a step is given\n"
    yield "Protocols, from `realism.parts.work`. A run keeps them, and `realism.testing.run_step` does without a run.\n"
    for cls in (Work, RunInfo):
        yield f"### {cls.__name__}\n"
        yield prose(cls.__doc__) + "\n"
        yield from members(cls, "")
    for record in (Table, StepRecord):
        yield from fields_page(record)


def members(cls: type, others: str = "may have") -> Iterator[str]:
    """Class attributes with what they say of themselves, then methods: the abstract ones marked, and others with that
    mark."""
    body = body_of(cls)
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign | ast.Assign) and not ast.unparse(node).startswith(DECLARES):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            yield f"- `{ast.unparse(node)}`" + (f": {' '.join(prose(str(said)).split())}" if said else "")
    for name, thing in vars(cls).items():
        function = thing.fget if isinstance(thing, property) else thing
        if inspect.isfunction(function) and not name.startswith("_"):
            mark = "must have" if getattr(function, "__isabstractmethod__", False) else others
            said = " ".join(prose(function.__doc__).split())
            told = signature(function).replace("() ->", ":") if isinstance(thing, property) else signature(function)
            yield f"- {f'*{mark}* ' if mark else ''}`{told}`: {said}"
    yield ""


def registry_pages() -> Iterator[str]:
    yield "## Registering\n"
    yield "The methods of the registry that `realism_register` is given. A name is a part's own: no other part, of"
    yield "whatever family, may have it.\n"
    own = [getattr(Registry, n) for n in ("model", "recipe", "command")]
    families = [
        (f"`registry.{n}(name: str, target: str)`", f"{one_of(n).capitalize()}, at `module:Class`.") for n in DECLARED
    ]
    calls = ((f"`registry.{signature(f)[:-8]}`", prose(f.__doc__)) for f in own)
    yield from table(("call", "what it adds"), *families, *calls)


def part_pages(registry: Registry) -> Iterator[str]:
    yield "## Parts\n"
    for family in part_families():
        entries = list(registry.entries(family))
        if entries:
            yield f"### {FAMILIES[family].capitalize()}\n"
            yield ", ".join(f"[`{e.name}`](#{anchor(e)})" for e in entries) + "\n"
        if family == "generator":
            yield from generator_table(registry)
        for entry in entries:
            yield from entry_page(entry)
    yield "## Steps\n"
    yield prose(parts.Step.__doc__).split("\n\n")[1] + "\n"
    for entry in registry.entries("step"):
        yield from entry_page(entry)


def entry_page(entry: Entry) -> Iterator[str]:
    cls = entry.load()
    yield f"#### {title(entry)}\n"
    yield f"{prose(cls.__doc__)}\n\n`{entry.target}`, of plugin `{entry.plugin}`.\n"
    if issubclass(cls, parts.Reward):
        yield from values_of(cls)
    yield from options_table(cls)


def values_of(cls: type[parts.Reward]) -> Iterator[str]:
    """What the values of a reward mean, and which maps it gives."""
    if cls.outputs:
        for name, output in cls.outputs.items():
            yield f"- value `{name}`: {meaning(output)}"
    elif isinstance(cls.range, tuple) and isinstance(cls.higher_is_better, bool):
        yield f"One value: {meaning(parts.Output(cls.range, cls.higher_is_better))}\n"
    yield from (f"- map `{name}`" for name in cls.map_names)
    if cls.outputs or cls.map_names:
        yield ""


def meaning(output: parts.Output) -> str:
    """A range and a direction, in words."""
    least, most = output.range
    better = "more is better" if output.higher_is_better else "less is better"
    if least == float("-inf") and most == float("inf"):
        return f"any number; {better}."
    between = f"{least:g} to {most:g}" if most != float("inf") else f"{least:g} upwards"
    return f"{between if least != float('-inf') else f'up to {most:g}'}; {better}."


def generator_table(registry: Registry) -> Iterator[str]:
    """What each generator can do, by its class alone: how a reference enters, and whether it can be trained."""
    yield "What each does with references, and what else it can do. About the mechanisms:"
    yield "[generators.md](generators.md).\n"
    rows = []
    for entry in registry.entries("generator"):
        cls: Any = entry.load()
        most = cls.max_references  # a property where the options decide between none and one
        several = f"up to {most}" if isinstance(most, int) and most > 1 else "no"
        rows.append(
            (f"`{entry.name}`", f"`{getattr(cls, 'pipeline_class', cls.__name__)}`", cls.reference_mechanism or "none",
             several, "yes" if issubclass(cls, parts.Tunable) else "no")
        )  # fmt: skip
    yield from table(("generator", "class", "how a reference enters", "several references", "can be trained"), *rows)


def suite_pages() -> Iterator[str]:
    yield "## Conformance suites\n"
    yield "What `realism.testing` holds every registered part to, by family.\n"
    suites = dict.fromkeys(suites_of(cls)[0] for cls in DECLARED.values())
    for suite in (*suites, TunableSuite):
        tests = [t for t in dir(suite) if t.startswith("test_")]
        yield f"- **{suite.__name__}**: {'; '.join(t.removeprefix('test_').replace('_', ' ') for t in tests)}."
    yield ""


def command_pages(registry: Registry) -> Iterator[str]:
    yield "## Commands\n"
    group: Any = typer.main.get_command(app)
    top = group.context_class(group, info_name="realism", terminal_width=100, max_content_width=100)
    for name in TyperGroup.list_commands(group, top):
        yield from command_page(name, TyperGroup.get_command(group, top, name), top)
    for entry in registry.entries("command"):
        yield from command_page(entry.name, typer.main.get_command(entry.load()), top)


def command_page(name: str, command: Any, parent: Any) -> Iterator[str]:
    """The --help of a command, in plain text, and of those below it."""
    command.rich_markup_mode = None
    for parameter in command.params:
        if isinstance(parameter.default, Path) and parameter.default.is_absolute():
            parameter.show_default = False
    context = command.context_class(command, info_name=name, parent=parent)
    yield f"### {context.command_path}\n"
    yield f"```text\n{command.get_help(context).strip()}\n```\n"
    for below in command.list_commands(context) if isinstance(command, TyperGroup) else ():
        yield from command_page(below, command.get_command(context, below), context)


def recipe_pages(registry: Registry) -> Iterator[str]:
    yield "## Recipes and models\n"
    found = shipped() | {e.name: e.path() for e in registry.entries("recipe")}
    rows = [(f"`{n}`", prose(str(read_yaml(p, "line ").data.get("description", "")))) for n, p in sorted(found.items())]
    yield from table(("recipe", "what it does"), *rows)
    models = [(f"`{e.name}`", f"`{e.plugin}`") for e in registry.entries("model")]
    if models:
        yield from table(("model", "shipped by plugin"), *models)


def reference(registry: Registry) -> str:
    """The whole page."""
    pages = (
        part_pages(registry), recipe_pages(registry), command_pages(registry),
        artifact_pages(registry), noun_pages(), family_pages(), work_pages(),
        hook_pages(), registry_pages(), suite_pages(),
    )  # fmt: skip
    lines = [line for page in pages for line in page]
    titles = [line.removeprefix("## ").strip() for line in lines if line.startswith("## ")]
    contents = " · ".join(f"[{t}](#{t.lower().replace(' ', '-')})" for t in titles)
    text = "\n".join([INTRO, contents, "", *lines])
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say whether they are as they would be written."""
    try:
        registry = own_plugins().registry
        pages = {REFERENCE: reference(registry), README: with_overview(README, registry)}
    except RealismError as error:
        print(f"docs/generate.py: {error}", file=sys.stderr)
        return 1
    stale = [page for page, text in pages.items() if not page.is_file() or page.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for page in stale:
            page.write_text(pages[page], encoding="utf-8")
        return 0
    for page in stale:
        print(f"{page.relative_to(ROOT)} is out of step with the code; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
