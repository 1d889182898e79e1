"""What no longer holds once something is replaced."""

from __future__ import annotations

import pytest
from realism.base.errors import RecipeError

START = """\
parts:
  generator: {use: toy_learner}
  bright: {use: toy_bright}
  held_out: {use: toy_prompts, count: 5}
prompts: {use: toy_prompts, count: 8}
steps:
  - generate: {}
  - score: {rewards: [bright]}
"""


def test_nothing_is_learnt_from_the_prompts_of_a_benchmark(write_recipe, read):
    evaluated = START + "  - evaluate: {benchmarks: [held_out]}\n  - report: {}\n"
    with pytest.raises(RecipeError, match=r"those of the benchmarks.*put a step 'prompts' before this"):
        read(write_recipe(evaluated + "  - generate: {}\n"))
    read(write_recipe(evaluated + "  - prompts: {source: held_out}\n  - generate: {}\n"))
