"""Each kind of new plugin works at once, passes its suite, and is used by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from realism.base.errors import RealismError
from realism.cli.scaffold import KINDS, TEMPLATES, write_plugin
from realism.plugins.manager import Plugins, installed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with one plugin of each kind."""
    folder = tmp_path_factory.mktemp("plugins")
    for kind in KINDS:
        write_plugin(f"a-{kind}", folder, kind)
    return folder


def test_each_kind_has_a_template_and_passes_its_suite(made: Path) -> None:
    kinds = {path.name.removesuffix(".py.j2") for path in TEMPLATES.glob("*.py.j2")} - {"test"}
    assert kinds == set(KINDS)
    paths = [str(made / f"realism-a-{kind}") for kind in KINDS]
    code = f"import sys, pytest\nsys.path[:0] = {paths!r}\nsys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", "--rootdir", str(made), *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=made)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert not list(made.rglob("*.egg-info"))


def test_each_kind_is_registered(made: Path, monkeypatch) -> None:
    points = []
    for kind in KINDS:
        monkeypatch.syspath_prepend(made / f"realism-a-{kind}")
        points.append(EntryPoint(f"a_{kind}", f"realism_a_{kind}", "realism"))
    found = Plugins([*installed(), *points])
    assert found.problems == []
    for kind in KINDS:
        entry = found.registry.get(f"a_{kind}", "reward" if kind == "judge" else kind)
        assert entry.load().__doc__


def test_a_kind_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(RealismError, match=r"no kind 'rewrad' of plugin; did you mean 'reward'\?; there are: "):
        write_plugin("sharp", tmp_path, "rewrad")
