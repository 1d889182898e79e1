"""Whatever a user gets wrong ends in clear sentences and exit code 2. The sentences stand in broken/*.txt.

There, `== heading` begins a section. The text below it is recipe.yaml, `-- name` begins another file, and files stay
until they are written anew. Each line `$ realism ...` is a command, with what it says below it; `[...]` stands for any
text.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import pytest

Command = Callable[..., tuple[int, str]]

COMMAND = Path(sys.executable).parent / "realism"
HERE = Path(__file__).parent / "broken"


@dataclass(frozen=True)
class Case:
    """A command in a folder of files, and what it says."""

    files: dict[str, str]
    command: str
    says: str


def cases() -> Iterator[tuple[str, Case]]:
    """All cases of all tables, by name."""
    for table in sorted(HERE.glob("*.txt")):
        files: dict[str, str] = {}
        for section in re.split(r"^== ", table.read_text(), flags=re.M)[1:]:
            heading, _, body = section.partition("\n")
            first, *commands = re.split(r"^\$ realism ", body, flags=re.M)
            given, *others = re.split(r"^-- (.*)\n", first, flags=re.M)
            files = files | ({"recipe.yaml": given} if given.strip() or "empty" in heading else {})
            files = files | dict(zip(others[::2], others[1::2], strict=True))
            for i, text in enumerate(commands):
                command, _, says = text.partition("\n")
                yield f"{table.stem}: {heading} {i}", Case(files, command, says.strip())


CASES = dict(cases())


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_ends_in_clear_sentences(name: str, realism: Command) -> None:
    case = CASES[name]
    for file, text in case.files.items():
        Path(file).write_text(text)
    code, said = realism(*shlex.split(case.command))
    pattern = re.escape(case.says).replace(re.escape("[...]"), r"(.|\n)*")
    assert re.fullmatch(pattern, said), f"$ realism {case.command}\n{said}"
    assert code == 2


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 100


RECIPE = "parts: {generator: {use: toy}}\nprompts: {use: toy_prompts}\nsteps: [generate]\n"
INDEX = """\
parts:
  database: {use: image_folder, path: database}
  retriever: {use: toy_retriever}
steps: [index]
"""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "realism: recipe 'recipe.yaml' cannot be read: it is not UTF-8 text"),
        (
            b"name: \x00",
            "realism: recipe.yaml: this is not a recipe: unacceptable character #x0000: special characters",
        ),
        (b"[" * 1500, "realism: recipe.yaml: this is not a recipe: it is nested too deep"),
        (b"#" * 5_000_000, "realism: recipe 'recipe.yaml' cannot be read: it is larger than 4,000,000 bytes"),
    ],
)
def test_a_file_of_another_kind_is_no_recipe(content: bytes, says: str, realism: Command) -> None:
    Path("recipe.yaml").write_bytes(content)
    code, said = realism("check", "recipe.yaml")
    assert said.startswith(says)
    assert (code, said.count("\n")) == (2, 0)


def test_a_condition_that_is_too_deep_or_too_long_is_refused(realism: Command) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace("[generate]", "[generate, {score: {rewards: [toy_colour]}}, select]"))
    for text in ("(" * 300 + "a > 1" + ")" * 300, "not " * 400 + "a > 1", "not " * 4000 + "a > 1", "[" * 90 + "1"):
        code, said = realism("check", "recipe.yaml", f"steps[2].select.where='{text}'")
        assert code == 2 and "command line  steps[2].select.where" in said and len(said) < 400, said


def test_a_folder_of_images_that_is_missing_empty_or_unreadable_is_named(realism: Command) -> None:
    Path("recipe.yaml").write_text(INDEX)
    assert "line 2  parts.database  no image folder 'database'" in realism("run", "recipe.yaml", "-q")[1]
    Path("database").mkdir()
    assert realism("run", "recipe.yaml", "-q")[1].startswith("realism: no image in 'database'; looked for .jpg,")
    for i in range(12):
        Path(f"database/{i}.png").write_text("no picture")
    code, said = realism("run", "recipe.yaml", "-q")
    assert said.startswith(
        "realism: index retriever: 12 of 12 items were skipped, more than the share of 0.1 that limits.skipped"
    )
    assert code == 2


def test_a_run_folder_in_use_is_refused(realism: Command) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    Path("out").mkdir()
    with filelock.FileLock("out/.lock"):
        code, said = realism("run", "recipe.yaml", "-q", "--out", "out")
    assert (code, said) == (
        2,
        "realism: another process is at work in 'out'; wait for it, or choose another folder with --out",
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named(
    number: int, realism: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "out/.lock")

    Path("recipe.yaml").write_text(RECIPE)
    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert realism("run", "recipe.yaml", "-q", "--out", "out") == (2, f"realism: out/.lock: {os.strerror(number)}")


def test_debug_shows_where_an_error_was_raised() -> None:
    done = subprocess.run([COMMAND, "check", "nowhere.yaml", "--debug"], capture_output=True, text=True)
    assert "Traceback" in done.stderr and "no recipe 'nowhere.yaml'" in done.stderr


def test_the_installed_command_says_it_on_stderr_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("stpes: []\n")
    done = subprocess.run([COMMAND, "check", "recipe.yaml"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "recipe.yaml: 2 problems",
        "  line 1  stpes  a recipe has no key 'stpes'; did you mean 'steps'?",
        "                 keys: choose, description, extends, limits, name, parts, prompts, seed, seeds, steps, "
        "variants",
        "  line 1  steps  expected a list of steps, such as '- generate: {}'",
        "Nothing was run.",
    ]
