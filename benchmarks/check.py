"""`realism check` of recipes of 100, 1,000 and 10,000 steps (goal: 1 s for 1,000, 10 s for 10,000).

Rounds draw the same arm anew, as training does; arms each have a name of their own, and are measured together at the
end; mistakes are rounds of which each score names a reward that is not there.
Run: .venv/bin/python benchmarks/check.py
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from realism.base.errors import RecipeError
from realism.plugins.manager import plugins
from realism.recipe.recipe import read_recipe

HEAD = """\
parts: {generator: {use: sd, model: garden/unet}, judge: {use: garden_beauty}}
prompts: {use: prompt_file, path: prompts.txt}
steps:
"""
ROUNDS = """\
  - generate
  - score: {rewards: [judge]}
  - select: {best: judge}
  - train: {trainer: lora}
"""
ARMS = """\
  - generate: {name: arm NUMBER}
  - score: {rewards: [judge], arms: [arm NUMBER]}
  - select: {best: judge, arms: [arm NUMBER]}
  - train: {trainer: lora, arm: arm NUMBER}
"""
MISTAKES = ROUNDS.replace("[judge]", "[jugde]")


def seconds(steps: int, each: str) -> float:
    """How long it takes to check a recipe of so many steps, written out, which are these over and over."""
    text = "".join(each.replace("NUMBER", str(i)) for i in range((steps - 1) // 4))
    Path("recipe.yaml").write_text(HEAD + text + "  - report\n")
    began = time.perf_counter()
    try:
        read_recipe("recipe.yaml", [], plugins().registry)
    except RecipeError:
        if each is not MISTAKES:
            raise
    return time.perf_counter() - began


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("prompts.txt").write_text("a red square\n")
        seconds(4, ROUNDS)
        print(f"{'steps':>8}{'rounds':>10}{'arms':>10}{'mistakes':>10}")
        for steps in (100, 1000, 10_000):
            print(
                f"{steps:>8,}" + "".join(f"{seconds(steps, each):>8.2f} s" for each in (ROUNDS, ARMS, MISTAKES)),
                flush=True,
            )
