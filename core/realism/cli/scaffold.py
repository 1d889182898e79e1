"""`realism new-plugin`: a plugin that installs, passes its suite, and is listed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template

from realism.base.errors import RealismError, listed, nearest
from realism.base.files import write_text
from realism.parts.base import FAMILIES, noun_of, one_of
from realism.plugins.manager import plugins
from realism.runs.progress import View

TEMPLATES = Path(__file__).parent / "new_plugin"


@dataclass(frozen=True)
class Kind:
    """What a kind of plugin writes into its test and its page: suites, how the part is made, how a recipe uses it."""

    suites: tuple[str, ...]
    usage: str
    made: str = "{cls}()"
    imports: tuple[str, ...] = ("{cls}",)
    fixture: str = ""


KINDS = {
    "reward": Kind(("RewardSuite",), "- score: {rewards: [NAME]}"),
    "judge": Kind(("RewardSuite",), "- score: {rewards: [NAME]}"),
    "generator": Kind(("GeneratorSuite",), "- generate: {generator: NAME}"),
    "retriever": Kind(("RetrieverSuite",), "- retrieve: {retriever: NAME}"),
    "index": Kind(("IndexSuite",), "retriever: {use: openclip, index: NAME}"),
    "metric": Kind(
        ("SetMetricSuite", "ExampleRetriever"),
        "- evaluate: {metrics: [NAME], real: photos}",
        "{cls}(ExampleRetriever())",
    ),
    "language": Kind(("LanguageModelSuite",), "writer: {use: NAME}"),
    "prompts": Kind(("PromptsSuite",), "prompts: {use: NAME}"),
    "images": Kind(
        ("ImagesSuite", "write_example_images"),
        "- index: {images: {use: NAME, path: FOLDER}}",
        "{cls}(str(write_example_images(tmp_path)))",
        fixture=", tmp_path",
    ),
    "step": Kind(("StepSuite",), "- NAME: {arm: samples}"),
    "trainer": Kind(
        ("TrainerSuite", "TrainedSuite"),
        "- train: {trainer: NAME, generator: painter}",
        "{cls}({cls}Grey())",
        ("{cls}", "{cls}Grey"),
    ),
}
"""What `realism new-plugin --kind` can write; each has a template of its name."""


def write_plugin(name: str, folder: Path, kind: str = "reward") -> None:
    """Write a plugin's folder. Raises RealismError if the name cannot be one, the folder is there already, or there is
    no such kind."""
    if kind not in KINDS:
        raise RealismError(f"no kind '{kind}' of plugin{nearest(kind, KINDS)}; there are: {listed(KINDS)}")
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module) or keyword.iskeyword(module) or len(module) > 40:
        raise RealismError(
            f"'{name}' is no name for a plugin: lower-case letters and digits, '-' between words, a letter first; "
            "such as 'sharpness'"
        )
    if taken := plugins().registry.find(module, *FAMILIES):
        raise RealismError(
            f"'{name}' is taken by plugin '{taken.plugin}' ({one_of(taken.family)}); choose another name"
        )
    if module in {p.name for p in plugins().plugins} or importlib.util.find_spec(f"realism_{module}"):
        raise RealismError(f"'{name}' is taken by an installed plugin; choose another name")
    target = folder / f"realism-{module.replace('_', '-')}"
    if target.exists():
        raise RealismError(f"'{target}' is there already; choose another name, or --folder")
    cls = "".join(word.capitalize() for word in module.split("_"))
    of, noun = KINDS[kind], noun_of(kind)
    values = {"name": module, "dashed": module.replace("_", "-"), "cls": cls, "kind": kind, "noun": noun}
    values |= {"article": one_of(kind).capitalize(), "usage": of.usage.replace("NAME", module)}
    words = {"suites": of.suites, "made": of.made.format(cls=cls), "fixture": of.fixture}
    words["imports"] = [one.format(cls=cls) for one in of.imports]
    files = {
        f"{kind}.py": f"realism_{module}.py",
        "test.py": f"test_{module}.py",
        "README.md": "README.md",
        "pyproject.toml": "pyproject.toml",
    }
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise RealismError(f"'{target}' cannot be made: {error.strerror}") from None
    for template, file in files.items():
        text = (TEMPLATES / f"{template}.j2").read_text(encoding="utf-8")
        write_text(target / file, Template(text, keep_trailing_newline=True).render(values | words))
    place = shlex.quote(str(target))
    View().say(f"wrote {target}\nnext: pip install -e {place} && realism parts {module} && pytest {place}")
