"""Fixtures: the framework's world of toys."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

from world import data, database, read, run, toy_plugins, write_recipe

__all__ = ["data", "database", "read", "run", "toy_plugins", "write_recipe"]
