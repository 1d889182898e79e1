"""Every registered part, ours and strangers', does what its family promises.

A new part is covered as soon as it is registered. One that needs options has a line in `examples.py`, without which it
fails here.
"""

from __future__ import annotations

import functools
import subprocess
import sys

import examples
import pytest
from realism import RealismError
from realism.parts import Part
from realism.plugins.manager import plugins
from realism.plugins.registry import PART_FAMILIES
from realism.testing.making import cases, make_part, run_case

REGISTRY = plugins().registry
NAMES = [entry.name for entry in REGISTRY.entries(*PART_FAMILIES)]


@functools.cache
def part(name: str) -> Part:
    try:
        return make_part(name, examples.options(name), REGISTRY)
    except RealismError as error:
        pytest.fail(f"{error}; give it options in tests/examples.py, so that it can be tested", pytrace=False)


@pytest.mark.parametrize(("name", "contract"), cases(NAMES, REGISTRY))
def test_every_part_keeps_the_contract_of_its_family(name: str, contract: str) -> None:
    run_case(name, contract, lambda: part(name), REGISTRY)


def test_no_plugin_is_left_out() -> None:
    assert plugins().problems == []


def test_parts_are_known_without_loading_a_heavy_library() -> None:
    code = """
import sys
from realism.plugins.manager import plugins
from realism.recipe.options import options_of
from realism.plugins.registry import PART_FAMILIES
for entry in plugins().registry.entries(*PART_FAMILIES):
    options_of(entry.load())
print(sorted({"torch", "diffusers", "transformers", "open_clip", "faiss", "lightning"} & set(sys.modules)))
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
