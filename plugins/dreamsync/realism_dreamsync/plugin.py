"""What the plugin registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.step("write_prompts", "realism_dreamsync.prompts:WritePrompts")
    registry.step("write_questions", "realism_dreamsync.questions:WriteQuestions")
    registry.step("filter_questions", "realism_dreamsync.filtering:FilterQuestions")
    registry.prompts("tifa", "realism_dreamsync.benchmarks:Tifa")
    registry.prompts("dsg", "realism_dreamsync.benchmarks:Dsg")
    registry.prompts("t2i_compbench", "realism_dreamsync.benchmarks:T2iCompBench")
