"""The index that chooses its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from realism_retrievers.faiss_index import FEW, Approximate, FaissIndex
from realism_retrievers.hnsw import Hnsw, hnsw_bytes
from realism_retrievers.ivf import IvfFlat, IvfPq

MANY = 1_000_000
UNITS = {"B": 1, **{f"{p}{u}": b**i for i, p in enumerate("KMGT", 1) for u, b in (("B", 1000), ("iB", 1024))}}

KINDS: dict[str, Approximate] = {kind.kind: kind for kind in (Hnsw(), IvfFlat(), IvfPq())}


@dataclass
class Auto(FaissIndex):
    """The kind of index that fits the number of images and the memory: flat, hnsw, ivf_flat or ivf_pq.

    Up to 10,000 images it is flat: comparing all takes a millisecond or two, is exact, and needs no training. Beyond,
    it is hnsw as long as that fits the memory, as it is the quickest and surest; else ivf_flat under a million, whose
    lists are read from the disk, and ivf_pq from there on. Name one of them instead to have it whatever the number.
    """

    memory: str | int = "4 GiB"
    """What a search may hold in memory: "4 GiB", "500 MB", or a number of bytes. At 4 GiB and a width of 512, hnsw is
    taken up to 1.8 million images."""

    def options_error(self) -> str | None:
        if parse_bytes(self.memory) is None:
            return f"memory '{self.memory}' is no size: expected a number and a unit, such as '4 GiB', or bytes"
        return None

    def chosen(self, rows: int, width: int) -> Approximate | None:
        return KINDS.get(choose(rows, width, parse_bytes(self.memory) or 0))


def choose(rows: int, width: int, memory: int) -> str:
    """The kind of index for so many rows of that width, when a search may hold `memory` bytes."""
    if rows <= FEW:
        return "flat"
    if hnsw_bytes(rows, width, Hnsw.m) <= memory:
        return "hnsw"
    return "ivf_flat" if rows < MANY else "ivf_pq"


def parse_bytes(size: str | int) -> int | None:
    """Bytes of "4 GiB", "500MB" or a number; None if it is no size above 0."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    units = {name.lower(): value for name, value in UNITS.items()}
    if not match or match[2].lower() not in {"", *units}:
        return None
    return round(float(match[1]) * units.get(match[2].lower(), 1)) or None
