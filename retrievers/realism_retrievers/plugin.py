"""What this family registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.retriever("openclip", "realism_retrievers.openclip:OpenClip")
    registry.index("auto", "realism_retrievers.auto:Auto")
    registry.index("flat", "realism_retrievers.flat:Flat")
    registry.index("hnsw", "realism_retrievers.hnsw:Hnsw")
    registry.index("ivf_flat", "realism_retrievers.ivf:IvfFlat")
    registry.index("ivf_pq", "realism_retrievers.ivf:IvfPq")
