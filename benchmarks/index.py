"""Indexes of each kind against raw FAISS with the same structure: build time, memory, latency and recall.

    python benchmarks/index.py                                  # 10,000 and 100,000 vectors of 512, every kind
    python benchmarks/index.py --sizes 1000000 --kinds ivf_flat ivf_pq hnsw

Vectors are made up to lie as CLIP's do: 2,000 centres of unequal size in 40 dimensions whose weight falls off, each
with a spread as wide as the centres lie apart, turned into 512 dimensions, plus noise in all of them and one common
offset (CLIP's rows fill a cone), at length 1. Queries are other draws with another offset (texts lie beside images), so
the best similarity is near 0.75 and no cluster answers alone.

Raw FAISS is the very structure that was built, read into memory by FAISS and searched with the same parameters; for
ivf_pq it is inside FAISS's own IndexRefineFlat, for flat an IndexFlatIP. Ours maps files, checks them at each search,
and ranks again. The two take turns, so that a busy machine is unfair to neither. Latencies are medians over calls at
batch 1 and best of rounds at batch 256; recall@10 is against comparing all. Each size and kind is built in a process of
its own, of whose resident high-water mark what it had at the start is taken off. Where others use the cores, give
--threads 1: then all times are those of the processor, which waiting for a core does not enter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("flat", "hnsw", "ivf_flat", "ivf_pq")
SHARD, LATENT, CENTRES = 10_000, 40, 2_000
K, QUERIES = 10, 512


def vectors(count: int, width: int, seed: int, gap: float = 0.0) -> Iterator[np.ndarray]:
    """Shards of made-up embeddings, (m, width) float32 of length 1."""
    world = np.random.default_rng(0)
    turn = world.normal(size=(LATENT, width)) * 3 / np.sqrt(np.arange(1, LATENT + 1))[:, None]
    centres = world.normal(size=(CENTRES, LATENT))
    offset = 3 * world.normal(size=width) + gap * world.normal(size=width)
    share = np.arange(1, CENTRES + 1) ** -0.7
    rng = np.random.default_rng(seed)
    for start in range(0, count, SHARD):
        n = min(SHARD, count - start)
        latent = centres[rng.choice(CENTRES, n, p=share / share.sum())] + rng.normal(size=(n, LATENT))
        rows = latent @ turn + 0.5 * rng.normal(size=(n, width)) + offset
        yield (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def part_of(kind: str) -> Any:
    from realism_retrievers.flat import Flat
    from realism_retrievers.hnsw import Hnsw
    from realism_retrievers.ivf import IvfFlat, IvfPq

    return {"flat": Flat, "hnsw": Hnsw, "ivf_flat": IvfFlat, "ivf_pq": IvfPq}[kind]()


def made(given: argparse.Namespace, folder: Path) -> Iterator[np.ndarray]:
    """The shards of the folder, one in memory at a time."""
    return (np.load(path) for path in sorted((folder / "shards").glob("*.npy")))


def build(given: argparse.Namespace, folder: Path) -> None:
    """Build in this process; print seconds and the peak in MiB before and after."""
    import faiss

    faiss.omp_set_num_threads(given.threads)
    part, target = part_of(given.kinds[0]), folder / given.kinds[0]
    target.mkdir()
    before = peak()
    clock = clock_of(given.threads)
    began = clock()
    part.build(made(given, folder), target)
    print(clock() - began, before, peak())


def clock_of(threads: int) -> Callable[[], float]:
    """Seconds of the processor where one thread works, else those of the wall."""
    return time.process_time if threads == 1 else time.perf_counter


def peak() -> float:
    """The resident high-water mark in MiB. Not getrusage's, which starts at that of the process that started this."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def raw(part: Any, folder: Path, rows: int, width: int) -> Callable[[np.ndarray], Any]:
    """A search by FAISS alone, with everything in memory."""
    import faiss

    kind = part.chosen(rows, width)
    everything = np.fromfile(folder / "vectors.f32", np.float32).reshape(rows, width)
    if kind is None:
        flat = faiss.IndexFlatIP(width)
        flat.add(everything)
        return lambda queries: flat.search(queries, K)
    [path] = folder.glob("*.faiss")
    index, parameters = faiss.read_index(str(path)), kind.parameters(1.0, {})
    if kind.widened > 1:
        refined = faiss.IndexRefineFlat(index, faiss.swig_ptr(everything))
        parameters = faiss.IndexRefineSearchParameters(k_factor=kind.widened, base_index_params=parameters)
        return lambda queries, kept=everything: refined.search(queries, K, params=parameters)
    return lambda queries: index.search(queries, K, params=parameters)


def latencies(
    searches: list[Callable[[np.ndarray], Any]], queries: np.ndarray, rounds: int, clock: Callable[[], float]
) -> list[list[float]]:
    """Milliseconds at batch 1 (median call) and batch 256 (best round) of each search, taken in turns."""
    single: list[list[float]] = [[] for _ in searches]
    many: list[list[float]] = [[] for _ in searches]
    for number in range(rounds * 20):
        for search, taken in zip(searches, single, strict=True):
            one = queries[number % len(queries)][None]
            taken.append(timed(search, one, clock))
    for _ in range(rounds):
        for search, taken in zip(searches, many, strict=True):
            taken.append(timed(search, queries[:256], clock))
    return [[statistics.median(s), min(m)] for s, m in zip(single, many, strict=True)]


def timed(search: Callable[[np.ndarray], Any], queries: np.ndarray, clock: Callable[[], float]) -> float:
    began = clock()
    search(queries)
    return 1e3 * (clock() - began)


def measure(given: argparse.Namespace, folder: Path, size: int, kind: str) -> str:
    """One line of the table."""
    from realism_retrievers.flat import Flat

    command = [sys.executable, __file__, "--build", str(folder), "--kinds", kind, "--threads", str(given.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, before, most = map(float, done.stdout.split())
    queries = np.concatenate(list(vectors(QUERIES, given.width, seed=2, gap=2.0)))
    part, at = part_of(kind), folder / kind
    ours: Callable[[np.ndarray], Any] = lambda asked: part.search(at, asked, K)  # noqa: E731
    exact = Flat().search(folder / "flat", queries, K)[1]
    recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(ours(queries)[1], exact, strict=True)])
    theirs = raw(part, at, size, given.width)
    theirs(queries)
    (one, many), (raw_one, raw_many) = latencies([ours, theirs], queries, given.rounds, clock_of(given.threads))
    bytes_ = sum(p.stat().st_size for p in at.glob("*.faiss")) / 2**20
    return (
        f"{size:>9,} {kind:<8} {seconds:8.1f} s {most - before:8.0f} MiB {bytes_:8.0f} MiB   {recall:.3f}   "
        f"{one:8.3f} {raw_one:8.3f} {one / raw_one:5.2f}   {many:8.1f} {raw_many:8.1f} {many / raw_many:5.2f}"
    )


def main() -> None:
    """Print the table, one line a size and kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--build", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        return build(given, Path(given.build))
    import faiss

    faiss.omp_set_num_threads(given.threads)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {given.threads} threads"
    clock = "processor" if given.threads == 1 else "wall"
    print(f"{load}, {clock} time; latencies: ours, raw FAISS, and ours / raw")
    print("     rows kind      building     its peak    FAISS file   recall@10    batch 1, ms            batch 256, ms")
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "shards").mkdir()
            for number, shard in enumerate(vectors(size, given.width, seed=1)):
                np.save(folder / "shards" / f"{number:05d}.npy", shard)
            for kind in ["flat", *[k for k in given.kinds if k != "flat"]]:
                print(measure(given, folder, size, kind), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
