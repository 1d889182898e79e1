"""Batches as large as the memory takes."""

import pytest
import torch
from realism.base.batching import Batches
from realism.base.errors import RealismError


def starving(limit, seen):
    def call(batch):
        seen.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [2 * item for item in batch]

    return call


@pytest.mark.parametrize("size", [1, 3, 7, 100, None])
def test_every_item_has_its_result_in_order(size):
    assert Batches(size).run(list(range(50)), starving(1000, [])) == [2 * i for i in range(50)]


def test_no_item_needs_no_call():
    seen = []
    assert Batches(4).run([], starving(9, seen)) == [] and seen == []


def test_a_batch_too_large_is_halved_and_nothing_is_done_twice_or_left_out():
    seen = []
    assert Batches(16).run(list(range(20)), starving(5, seen)) == [2 * i for i in range(20)]
    assert seen == [16, 8, 4, 4, 4, 4, 4]


def test_the_size_found_is_kept_for_later_calls():
    batches, seen = Batches(start=32), []
    batches.run(range(40), starving(8, seen))
    seen.clear()
    batches.run(range(40), starving(8, seen))
    assert seen == [8] * 5


def test_memory_errors_of_the_cpu_count_too():
    def call(batch):
        if len(batch) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return batch

    assert Batches(3).run([1, 2, 3], call) == [1, 2, 3]


def test_one_item_too_large_is_said_in_a_sentence():
    with pytest.raises(RealismError, match="memory ran out with a single item"):
        Batches(2).run([1, 2], starving(0, []))


def test_other_errors_go_through():
    def call(batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        Batches(2).run([1, 2], call)


def test_a_call_that_loses_a_result_is_found_out():
    with pytest.raises(RealismError, match="a batch of 3 gave 2 results"):
        Batches(3).run([1, 2, 3], lambda batch: batch[:2])
