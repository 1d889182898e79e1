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
from realism.parts.base import FAMILIES
from realism.plugins.manager import plugins
from realism.testing.making import cases, make_part, run_case

REGISTRY = plugins().registry
ELSEWHERE = ("concepts", "filter_questions", "reflect", "write_prompts", "write_questions")
"""Steps that need a language model which replies in their form, or a larger database; their plugins' tests do them."""
NAMES = [entry.name for entry in REGISTRY.entries(*FAMILIES) if entry.name not in ELSEWHERE]
BEYOND = ("report", "test_it_writes_what_it_says_and_nowhere_else")
"""The page lies in the run's folder itself, where people find it."""
CASES = [case for case in cases(NAMES, REGISTRY) if case != BEYOND]


@functools.cache
def part(name: str) -> Part:
    try:
        return make_part(name, examples.options(name), REGISTRY)
    except RealismError as error:
        pytest.fail(f"{error}; give it options in tests/examples.py, so that it can be tested", pytrace=False)


@pytest.mark.parametrize(("name", "contract"), CASES)
def test_every_part_keeps_the_contract_of_its_family(name: str, contract: str) -> None:
    run_case(name, contract, lambda: part(name), REGISTRY)


def test_no_plugin_is_left_out() -> None:
    assert plugins().problems == []


def test_parts_are_known_without_loading_a_heavy_library() -> None:
    code = """
import sys
from realism.plugins.manager import plugins
from realism.recipe.options import options_of
from realism.parts.base import FAMILIES
for entry in plugins().registry.entries(*FAMILIES):
    options_of(entry.load())
print(sorted({"torch", "diffusers", "transformers", "open_clip", "faiss", "lightning"} & set(sys.modules)))
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
