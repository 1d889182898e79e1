"""FAISS indexes of every kind, against comparing all rows with numpy."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realism import RealismError
from realism.testing.material import unit_rows
from realism_retrievers import faiss_files
from realism_retrievers.auto import Auto
from realism_retrievers.flat import Flat
from realism_retrievers.hnsw import Hnsw
from realism_retrievers.ivf import IvfFlat, IvfPq, k_means

KINDS = {"flat": Flat(), "hnsw": Hnsw(m=16), "ivf_flat": IvfFlat(), "ivf_pq": IvfPq()}
N, D = 12_000, 32


def clustered(n, seed=0, d=D):
    """Rows of length 1 around 100 centres, as embeddings lie: (n, d) float32 and the centre of each."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, 100, n)
    rows = unit_rows(100, d)[centre] + 0.1 * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), centre


def nearest(rows, queries, k, allowed=None):
    similarities = queries @ rows.T
    if allowed is not None:
        similarities[:, ~allowed] = -np.inf
    return np.argsort(-similarities, axis=1)[:, :k]


def recall(found, wanted):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, wanted, strict=True)])


def shards(rows, size=5000):
    return (rows[i : i + size] for i in range(0, len(rows), size))


@pytest.fixture(scope="module", params=KINDS)
def built(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    KINDS[request.param].build(shards(clustered(N)[0]), folder)
    return KINDS[request.param], folder


@pytest.fixture
def copied(built, tmp_path):
    return built[0], shutil.copytree(built[1], tmp_path / "copy")


@pytest.mark.parametrize("k", [1, 10, 200])
def test_nearly_all_of_the_nearest_rows_are_found_whatever_the_kind(built, k):
    part, folder = built
    rows, queries = clustered(N)[0], clustered(100, seed=1)[0]
    similarities, found = part.search(folder, queries, k)
    assert similarities.dtype == np.float32 and found.dtype == np.int64 and found.shape == (100, k)
    assert recall(found, nearest(rows, queries, k)) >= (1 if isinstance(part, Flat) else 0.95)
    assert np.abs(similarities - np.einsum("qkd,qd->qk", rows[found], queries)).max() < 1e-5
    assert (np.diff(similarities, axis=1) <= 0).all()


@pytest.mark.parametrize("share", [0.95, 0.5, 0.001])
def test_a_filter_leaks_nothing_and_still_finds(built, share):
    part, folder = built
    rows, queries = clustered(N)[0], clustered(50, seed=1)[0]
    allowed = np.random.default_rng(2).random(N) < share
    _, found = part.search(folder, queries, 5, allowed)
    assert allowed[found].all() and (found >= 0).all()
    assert recall(found, nearest(rows, queries, 5, allowed)) >= 0.95


def test_a_filter_that_allows_only_what_is_far_from_the_query_finds_it(built, monkeypatch):
    monkeypatch.setattr("realism_retrievers.faiss_index.FEW", 10)  # so that the structure is asked
    part, folder = built
    rows, centre = clustered(N)
    allowed = centre >= 50
    queries = rows[centre < 3][:40]
    monkeypatch.setattr(part, "compared", lambda *about: 0.0, raising=False)
    _, found = part.search(folder, queries, 5, allowed)
    assert (found >= 0).all() and allowed[found].all()


def test_more_than_there_is_gives_all_rows_and_then_nothing(built):
    part, folder = built
    similarities, found = part.search(folder, clustered(2, seed=1)[0], N + 3)
    assert set(found[0, :N]) == set(range(N)) and (found[:, N:] == -1).all() and np.isneginf(similarities[:, N:]).all()


def test_the_same_rows_give_the_same_files(built, tmp_path):
    part, folder = built
    part.build([clustered(N)[0]], tmp_path)  # in one shard, too
    assert {p.name for p in folder.iterdir()} == {p.name for p in tmp_path.iterdir()}
    assert all(p.read_bytes() == (tmp_path / p.name).read_bytes() for p in folder.iterdir())


def test_rows_that_are_added_are_found_and_old_ones_too(copied):
    part, folder = copied
    more, queries = clustered(600, seed=3)[0], clustered(50, seed=4)[0]
    part.add(folder, shards(more, 250))
    _, found = part.search(folder, queries, 5)
    assert recall(found, nearest(np.vstack([clustered(N)[0], more]), queries, 5)) >= 0.95 and (found >= N).any()
    assert len(list(folder.glob("*.faiss"))) <= 1


@pytest.mark.parametrize("step", ["append_vectors", "commit", "write_json"])
def test_an_add_that_is_stopped_leaves_the_old_index_whole(copied, monkeypatch, step):
    part, folder = copied
    rows, queries = clustered(N)[0], clustered(20, seed=1)[0]
    before = part.search(folder, queries, 5)

    def killed(*arguments):
        raise KeyboardInterrupt

    def half():
        yield clustered(100, seed=5)[0]
        killed()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if step != "append_vectors":
            module = "faiss_files" if step == "write_json" else "faiss_index"
            patch.setattr(f"realism_retrievers.{module}.{step}", killed)
        part.add(folder, half() if step == "append_vectors" else [clustered(100, seed=5)[0]])
    for was, now in zip(before, part.search(folder, queries, 5), strict=True):
        assert np.array_equal(was, now)
    more = clustered(100, seed=6)[0]
    part.add(folder, [more])
    assert recall(part.search(folder, queries, 5)[1], nearest(np.vstack([rows, more]), queries, 5)) >= 0.95


def test_nothing_added_changes_nothing(copied):
    part, folder = copied
    before = (folder / "index.json").read_bytes()
    part.add(folder, [])
    assert (folder / "index.json").read_bytes() == before


def test_an_index_changed_by_another_process_is_opened_anew(tmp_path):
    rows = unit_rows(50, 8)
    Flat().build([rows[:20]], tmp_path)
    assert Flat().search(tmp_path, rows[30:31], 1)[1][0, 0] < 20
    Flat().add(tmp_path, [rows[20:]])
    assert Flat().search(tmp_path, rows[30:31], 1)[1][0, 0] == 30


def test_an_open_index_is_not_read_again_for_the_next_search(built, monkeypatch):
    part, folder = built
    part.search(folder, clustered(1)[0], 1)
    monkeypatch.setattr(faiss_files, "read_structure", None)
    part.search(folder, clustered(1)[0], 1)


def test_a_file_cut_short_is_said_and_does_not_end_the_process(copied):
    part, folder = copied
    part.search(folder, clustered(1)[0], 1)
    for path in [p for p in sorted(folder.iterdir()) if p.suffix in (".f32", ".faiss")]:
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(RealismError, match=f"{path.name} is incomplete; build the index again"):
            part.search(folder, clustered(1)[0], 1)
        path.write_bytes(whole)
    (folder / "index.json").write_text("{")
    with pytest.raises(RealismError, match=r"index.json is damaged; build the index again"):
        part.search(folder, clustered(1)[0], 1)


def test_what_does_not_fit_the_index_is_said(tmp_path):
    with pytest.raises(RealismError, match="no index in"):
        Flat().search(tmp_path, unit_rows(1, 8), 1)
    with pytest.raises(RealismError, match="no vectors"):
        Flat().build([], tmp_path)
    with pytest.raises(RealismError, match=r"shard 1 has shape \(5, 9\), expected \(n, 8\) as the first"):
        Flat().build([unit_rows(5, 8), unit_rows(5, 9)], tmp_path)
    Flat().build([unit_rows(5, 8)], tmp_path)
    with pytest.raises(RealismError, match=r"shard 0 has shape \(5, 9\), expected \(n, 8\) as those of the index"):
        Flat().add(tmp_path, [unit_rows(5, 9)])
    with pytest.raises(RealismError, match="holds vectors of 8; it was built with another encoder"):
        Flat().search(tmp_path, unit_rows(1, 9), 1)
    with pytest.raises(RealismError, match=r"allowed has shape \(4,\)"):
        Flat().search(tmp_path, unit_rows(1, 8), 1, np.ones(4, bool))


def test_an_index_of_another_kind_is_said(copied):
    part, folder = copied
    other = Hnsw() if isinstance(part, Flat) else Flat()
    kind = json.loads((folder / "index.json").read_text())["kind"]
    with pytest.raises(RealismError, match=f"is of kind '{kind}', not '.*'; build it again"):
        other.search(folder, clustered(1)[0], 1)


def test_more_lists_than_the_rows_can_train_are_said(tmp_path):
    with pytest.raises(RealismError, match=r"nlist 5000 is too many for 12,000 rows; expected 300 or fewer"):
        IvfFlat(nlist=5000).build([clustered(N)[0]], tmp_path)


def test_centroids_are_trained_on_a_gpu_where_there_is_one(monkeypatch):
    import faiss

    asked = {}
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)

    class Noted:
        centroids = np.zeros((4, D), np.float32)

        def __init__(self, width, count, **options):
            asked.update(options)

        def train(self, sample):
            pass

    monkeypatch.setattr(faiss, "Kmeans", Noted)
    k_means(unit_rows(200, D), 4)
    assert asked["gpu"] is True


def test_without_faiss_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(RealismError, match=r'pip install "realism\[cpu\]", or "realism\[gpu\]"'):
        Flat().build([unit_rows(5, 8)], tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 200), d=st.integers(1, 20), q=st.integers(0, 30), k=st.integers(1, 30),
    share=st.floats(0, 1), seed=st.integers(0, 9), kind=st.sampled_from([*KINDS.values(), Auto()]),
)  # fmt: skip
def test_up_to_ten_thousand_rows_every_kind_is_exact(tmp_path_factory, n, d, q, k, share, seed, kind):
    rng = np.random.default_rng(seed)
    rows, queries = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(q, d)).astype(np.float32)
    allowed = rng.random(n) < share
    folder = tmp_path_factory.mktemp("small")
    kind.build([rows[: n // 2], rows[n // 2 :]] if n > 1 else [rows], folder)
    similarities, found = kind.search(folder, queries, k, allowed)
    count = min(k, int(allowed.sum()))
    wanted = -np.sort(-np.where(allowed, queries @ rows.T, -np.inf), axis=1)[:, :count]
    assert similarities.shape == found.shape == (q, k)
    assert np.allclose(similarities[:, :count], wanted, atol=1e-4) and np.isneginf(similarities[:, count:]).all()
    assert allowed[found[:, :count]].all() and (found[:, count:] == -1).all()
    assert all(len(set(line)) == count for line in found[:, :count])
