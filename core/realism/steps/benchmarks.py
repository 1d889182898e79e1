"""What `evaluate: {benchmarks: [...]}` stands for: prompts, two arms, scores and their measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from realism.parts.step import Step, called_twice
from realism.sources.benchmarks import KEY, Benchmarks
from realism.steps.generate import Generate
from realism.steps.prompts import ReadPrompts
from realism.steps.score import ScoreSamples

if TYPE_CHECKING:
    from realism.steps.evaluate import Evaluate

BEFORE, AFTER = "before", "after"
PER_PROMPT = 4  # DreamSync's K in evaluation, table 1


def misfit(step: Evaluate) -> str | None:
    """One sentence if the options of the step do not go together with benchmarks, else None."""
    if not step.benchmarks:
        idle = next((name for name in ("rewards", "per_prompt") if getattr(step, name)), None)
        return f"'{idle}' is about the pictures of benchmarks: name 'benchmarks' too" if idle else None
    if twice := called_twice(step.benchmarks, "benchmark"):
        return twice
    if step.arms or step.control:
        return f"benchmarks make the arms '{BEFORE}' and '{AFTER}' themselves: leave out 'arms' and 'control'"
    return None


def steps_of(step: Evaluate, before: Sequence[Step]) -> list[Step]:
    """The steps that evaluate on benchmarks, with the generator and the rewards of the steps before.

    Raises ValueError, in one sentence, if these make no pictures or judge none.
    """
    generators = [earlier.generator for earlier in before if isinstance(earlier, Generate)]
    if not generators:
        raise ValueError("benchmarks are drawn by the generator of the steps before: put a step 'generate' before this")
    scored = [reward for earlier in before if isinstance(earlier, ScoreSamples) for reward in earlier.rewards]
    rewards = step.rewards or list({reward.part_name: reward for reward in scored}.values())
    if not rewards:
        raise ValueError("nothing judges the benchmarks' pictures: name 'rewards', or put a step 'score' before this")
    by = [step.by] if isinstance(step.by, str) and step.by else list(step.by)
    by = [KEY, *by] if len(step.benchmarks) > 1 else by
    source = Benchmarks(step.benchmarks)
    source.part_name = ", ".join(s.part_name for s in step.benchmarks)
    draw = partial(Generate, generators[-1], per_prompt=step.per_prompt or PER_PROMPT, references="none")
    arms = [BEFORE, AFTER]
    return [
        ReadPrompts(source),
        draw(arm=BEFORE, learnt=False),
        draw(arm=AFTER),
        ScoreSamples(rewards, arms=arms),
        replace(step, benchmarks=[], rewards=[], per_prompt=None, arms=arms, control=BEFORE, by=by),
    ]
