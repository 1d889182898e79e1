"""What no longer holds once something is replaced."""

from __future__ import annotations

from realism.steps.generate import Generate

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
    evaluated = START + "  - benchmark: {prompts: [held_out]}\n  - report: {}\n"
    recipe = read(write_recipe(evaluated + "  - generate: {name: later}\n"))
    drawn = {step.name: step.prompts for step in recipe.steps if isinstance(step, Generate)}
    assert drawn == {"samples": "", "before": "benchmark", "after": "benchmark", "later": ""}
