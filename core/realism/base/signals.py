"""Signals that stop a command: in the same way, whichever it is, so that the run is left as it should be."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from realism.base.errors import RealismError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE = 3.0
"""Seconds after a first signal in which a second is taken for the same: the command is ending already."""


class StoppedBySignal(KeyboardInterrupt):
    """A signal that stops the command; it says which one it was."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")


class Stopped(RealismError):
    """The user stopped a command: which signal it was, if that is known, and what that means."""

    def __init__(self, stop: KeyboardInterrupt, means: str = ""):
        super().__init__(f"{str(stop) or 'stopped'}{means}")
        self.exit_code = 128 + (stop.number if isinstance(stop, StoppedBySignal) else signal.SIGINT)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise StoppedBySignal in the block, once. Who insists ends the process at once, as a
    kill would: a run goes on from there too. A signal that the process was started to ignore, as by nohup, is
    ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner, first = os.getpid(), 0.0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != owner:  # a worker that was forked, which ends as any does
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not first:
            first = time.monotonic()
            raise StoppedBySignal(number)
        elif time.monotonic() - first > PATIENCE:
            os._exit(128 + number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if first else handler)  # once stopped, the process is ending
