"""Tensors kept on disk by rows."""

from __future__ import annotations

import pytest
import torch
from realism_generators.tensor_rows import TensorRows, write_rows

CPU = torch.device("cpu")


def test_rows_come_back_as_they_were_in_any_order(tmp_path):
    batches = [
        {"a": torch.randn(n, 3, 2).bfloat16(), "b": torch.randint(9, (n, 4)), "c": torch.randn(n)} for n in (2, 3, 1)
    ]
    write_rows(tmp_path / "kept", iter(batches))
    kept, places = TensorRows(tmp_path / "kept"), [5, 0, 2, 2]
    for name in "abc":
        whole = torch.cat([batch[name] for batch in batches])
        assert torch.equal(kept.rows(places, CPU)[name], whole[places])
        assert kept.rows(places, CPU)[name].dtype == whole.dtype


def test_they_are_not_there_until_they_are_whole(tmp_path):
    def stopped():
        yield {"a": torch.zeros(2, 3)}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / "kept", stopped())
    assert not (tmp_path / "kept").exists()
    write_rows(tmp_path / "kept", [{"a": torch.ones(1, 3)}])
    assert torch.equal(TensorRows(tmp_path / "kept").rows([0], CPU)["a"], torch.ones(1, 3))
    assert [found.name for found in tmp_path.iterdir()] == ["kept"]


def test_only_the_rows_that_are_asked_for_take_memory(tmp_path):
    psutil = pytest.importorskip("psutil")
    megabyte = 2**18
    write_rows(tmp_path / "kept", ({"a": torch.full((1, megabyte), float(k))} for k in range(200)))
    kept, process = TensorRows(tmp_path / "kept"), psutil.Process()
    before = process.memory_info().rss
    assert kept.rows([150], CPU)["a"][0, 0] == 150
    assert process.memory_info().rss - before < 20 * 2**20
