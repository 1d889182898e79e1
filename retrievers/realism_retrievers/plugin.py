"""What this family registers."""

from __future__ import annotations

from realism import hook
from realism.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.retriever("openclip", "realism_retrievers.openclip:OpenClip")
    registry.index("flat", "realism_retrievers.flat:Flat")
