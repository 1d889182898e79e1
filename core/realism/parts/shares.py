"""What a process of a fit takes of a batch that all of them are given: rows, and the random numbers of these rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DRAWS = {torch.rand: 0, torch.randn: 0, torch.randint: 1}
"""Functions that draw from a generator, and how many arguments may stand before the size."""


def processes() -> int:
    """How many processes the fit has."""
    return torch.distributed.get_world_size() if _joined() else 1


def share(n: int) -> slice:
    """The rows of a batch of n that are this process's: n / processes, rounded down or up; so none has no row unless
    there are fewer rows than processes."""
    return _share(n, torch.distributed.get_rank() if _joined() else 0)


def _share(n: int, rank: int) -> slice:
    return slice(n * rank // processes(), n * (rank + 1) // processes())


def gathered(rows: torch.Tensor, n: int) -> torch.Tensor:
    """The rows (n, ...) of the whole batch from those of all shares, this process's being rows; their gradients go
    to where they came from, summed over the processes, as is right where each has the same loss and Lightning takes the
    mean of the processes' gradients."""
    if processes() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    shares = [_share(n, rank) for rank in range(processes())]
    longest = -(-n // processes())
    padded = torch.cat([rows, rows.new_zeros(longest - len(rows), *rows.shape[1:])])
    gathered_rows = all_gather(padded.contiguous())
    return torch.cat([each[: own.stop - own.start] for each, own in zip(gathered_rows, shares, strict=True)])


class WholeBatchDraws(TorchFunctionMode):
    """In the block, what is drawn from a generator for the rows of a share is drawn for the whole batch, of which the
    share's rows are taken: so a sample's noise does not depend on how many processes there are.

    A draw for the share is one by torch.rand, randn or randint whose first dimension is the number of its rows. Raises
    ValueError for draws from the generator of another form.
    """

    def __init__(self, random: torch.Generator, n: int):
        super().__init__()
        self._random, self._n, self._rows = random, n, share(n)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("generator") is not self._random or processes() == 1:
            return func(*args, **kwargs)
        before = DRAWS.get(func)
        if before is None:
            raise ValueError(f"{func} draws from the batch's generator; only torch.rand, randn and randint may")
        sizes = [k for k, value in enumerate(args) if isinstance(value, list | tuple)]
        own = list(args[sizes[0]] if sizes else kwargs["size"] if "size" in kwargs else args[before:])
        if not own or own[0] != self._rows.stop - self._rows.start:
            raise ValueError(f"a draw of the size {own} is none for the {self._rows.stop - self._rows.start} rows")
        whole = [self._n, *own[1:]]
        if sizes:
            args = [*args[: sizes[0]], whole, *args[sizes[0] + 1 :]]
        elif "size" in kwargs:
            kwargs["size"] = whole
        else:
            args = [*args[:before], *whole]
        return func(*args, **kwargs)[self._rows]


def _joined() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
