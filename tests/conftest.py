"""Fixtures for all tests."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from world import data, database, read, realism, run, toy_plugins, world, write_recipe

__all__ = ["data", "database", "read", "realism", "run", "toy_plugins", "world", "write_recipe"]


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The file that planted code would write, which must not exist at the end; a terminal would answer yes to all."""
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    for library in ("transformers.dynamic_module_utils", "diffusers.utils.dynamic_modules_utils"):
        monkeypatch.setattr(f"{library}.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "ran"
    yield marker
    assert not marker.exists(), "code of the model ran"
