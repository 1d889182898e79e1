"""The step `benchmark`: the trained generator on prompts that nothing is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from annotated_types import Ge, Le, MinLen

from realism.parts import Composite, Prompts, Retriever, Reward, Step
from realism.parts.step import NONE, called_twice
from realism.sources.benchmarks import KEY, Benchmarks
from realism.steps.evaluate import Evaluate
from realism.steps.generate import Generate
from realism.steps.prompts import ReadPrompts
from realism.steps.score import ScoreSamples

BEFORE, AFTER = "before", "after"


@dataclass
class Benchmark(Composite):
    """Draw the prompts of benchmarks twice on equal noise, with the weights that the last generator came with (arm
    `before`) and with its trained weights (arm `after`), score both, and evaluate them, each benchmark a group.

    It stands for `prompts`, two of `generate`, `score` and `evaluate`.
    """

    prompts: Annotated[list[Prompts], MinLen(1)]
    """The benchmarks."""
    rewards: list[Reward] = field(default_factory=list)
    """What judges the pictures; the rewards that scored before, if none is named."""
    per_prompt: Annotated[int, Ge(1), Le(10_000)] = 4
    """How many pictures of each prompt."""
    diversity: Retriever | None = None
    """The encoder in which to measure how unlike one another the pictures of one prompt are."""
    by: str | list[str] = field(default_factory=list)
    """Keys of the prompts' metadata to measure by, besides the benchmarks."""
    name: str = "benchmark"
    """What to call its prompts and measures."""

    def options_error(self) -> str | None:
        return called_twice(self.prompts, "benchmark")

    def steps(self, before: Sequence[Step]) -> list[Step]:
        generators = [earlier.generator for earlier in before if isinstance(earlier, Generate)]
        if not generators:
            raise ValueError(
                "benchmarks are drawn by the generator of the steps before: put a step 'generate' before this"
            )
        scored = [reward for earlier in before if isinstance(earlier, ScoreSamples) for reward in earlier.rewards]
        rewards = self.rewards or list({reward.part_name: reward for reward in scored}.values())
        if not rewards:
            raise ValueError("nothing judges benchmarks' pictures: name 'rewards', or put a step 'score' before this")
        by = [self.by] if isinstance(self.by, str) and self.by else list(self.by)
        by = [KEY, *by] if len(self.prompts) > 1 else by
        source = Benchmarks(self.prompts)
        source.part_name = ", ".join(s.part_name for s in self.prompts)
        draw = partial(Generate, generators[-1], per_prompt=self.per_prompt, references=NONE, prompts=self.name)
        arms = [BEFORE, AFTER]
        return [
            ReadPrompts(source, self.name),
            draw(name=BEFORE, trained=False),
            draw(name=AFTER),
            ScoreSamples(rewards, arms=arms),
            Evaluate(diversity=self.diversity, by=by, control=BEFORE, arms=arms, name=self.name),
        ]
