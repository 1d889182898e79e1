"""Fixtures for all tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from world import data, database, read, realism, run, toy_plugins, world, write_recipe

__all__ = ["data", "database", "read", "realism", "run", "toy_plugins", "world", "write_recipe"]
