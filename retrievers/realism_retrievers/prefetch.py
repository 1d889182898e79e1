"""Work done by threads shortly before it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Prefetch(Generic[T, R]):
    """call(item) for items taken in order, computed by threads at most `ahead` items before they are taken.

    Results are kept until the next batch is taken, so that a batch can be taken again in smaller pieces.
    """

    def __init__(self, items: Sequence[T], call: Callable[[T], R], workers: int, ahead: int):
        self._items, self._call, self._ahead = items, call, ahead
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self._waiting: dict[int, Future[R]] = {}
        self._submitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, positions: Sequence[int]) -> list[R]:
        """The results at these consecutive positions; what lies before them is let go."""
        for done in [i for i in self._waiting if i < positions[0]]:
            del self._waiting[done]
        until = min(len(self._items), positions[-1] + 1 + self._ahead)
        for i in range(self._submitted, until):
            self._waiting[i] = self._pool.submit(self._call, self._items[i])
        self._submitted = max(self._submitted, until)
        return [self._waiting[i].result() for i in positions]
