"""What the plugin registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.retriever("projected", "realism_realrag.projected:Projected")
    registry.trainer("reflective", "realism_realrag.trainer:Reflective")
    registry.step("reflect", "realism_realrag.reflect:Reflect")
    registry.step("gate", "realism_realrag.gate:Gate")
    registry.step("concepts", "realism_realrag.concepts:Concepts")
