"""The index that chooses its kind, by the number of rows and the memory."""

from __future__ import annotations

import json

import pytest
from realism import RealismError
from realism.testing.material import unit_rows
from realism_retrievers import auto
from realism_retrievers.auto import Auto, choose, parse_bytes
from realism_retrievers.hnsw import Hnsw, hnsw_bytes

GIB = 2**30


@pytest.mark.parametrize(
    ("rows", "width", "memory", "kind"),
    [
        (1, 512, GIB, "flat"),
        (10_000, 512, 1, "flat"),
        (10_001, 512, GIB, "hnsw"),
        (1_000_000, 512, 4 * GIB, "hnsw"),
        (999_999, 512, GIB, "ivf_flat"),
        (1_000_000, 512, GIB, "ivf_pq"),
        (1_000_000, 1024, 4 * GIB, "ivf_pq"),
        (100_000_000, 512, 64 * GIB, "ivf_pq"),
    ],
)
def test_the_kind_follows_from_rows_width_and_memory(rows, width, memory, kind):
    assert choose(rows, width, memory) == kind


@pytest.mark.parametrize("m", [8, 32])
def test_the_estimate_of_bytes_is_that_of_the_file(tmp_path, m):
    Hnsw(m=m).build([unit_rows(11_000, 16)], tmp_path)
    [path] = tmp_path.glob("*.faiss")
    assert hnsw_bytes(11_000, 16, m) == pytest.approx(path.stat().st_size, rel=0.03)


@pytest.mark.parametrize(
    ("size", "count"),
    [("4 GiB", 4 * GIB), ("1.5gib", 3 * GIB // 2), ("500 MB", 500_000_000), (123, 123), ("2 KiB", 2048), ("9 B", 9)],
)
def test_memory_is_read_as_people_write_it(size, count):
    assert parse_bytes(size) == count and Auto(memory=size).options_error() is None


@pytest.mark.parametrize("size", ["", "much", "4 GiBs", "-1 GiB", 0, "4 5 GB"])
def test_a_memory_that_is_no_size_is_said(size):
    assert "is no size: expected a number and a unit, such as '4 GiB'" in Auto(memory=size).options_error()


def test_an_index_that_grows_changes_its_kind(tmp_path, monkeypatch):
    rows = unit_rows(11_000, 8)
    Auto().build([rows[:9000]], tmp_path)
    assert json.loads((tmp_path / "index.json").read_text())["kind"] == "flat"
    Auto().add(tmp_path, [rows[9000:]])
    assert json.loads((tmp_path / "index.json").read_text())["kind"] == "hnsw"
    assert (Auto().search(tmp_path, rows[[3, 9100]], 1)[1][:, 0] == [3, 9100]).all()
    monkeypatch.setattr(auto, "MANY", 10_000)
    with pytest.raises(RealismError, match="is of kind 'hnsw', not 'ivf_pq'"):
        Auto(memory="1 KiB").search(tmp_path, rows[:1], 1)
