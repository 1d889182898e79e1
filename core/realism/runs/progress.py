"""What a person sees while a run goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from realism.base.texts import printable


class Bar:
    """The progress of one step. Call it with how many more items are done; kept ones do not count for the pace."""

    def __init__(self, bars: Progress | None, title: str):
        self._bars, self._title = bars, title
        self._task = None if bars is None else bars.add_task(title, total=None, rate="", note="")
        self._since = time.monotonic()
        self.made = 0
        self.seen = 0

    def expect(self, total: int | None) -> None:
        """Say how many items there will be."""
        if self._bars is not None and self._task is not None:
            self._bars.reset(self._task, total=total, completed=0)
            self.seen = 0

    def note(self, text: str) -> None:
        """Show a few words at the end of the bar, in place of those before."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, note=text)

    def __call__(self, items: int, kept: bool = False) -> None:
        self.seen += items
        self.made += 0 if kept else items
        if self._bars is not None and self._task is not None:
            rate = self.made / max(time.monotonic() - self._since, 1e-9)
            self._bars.update(self._task, completed=self.seen, rate=f"{rate:.3g}/s" if self.made else "")


class View:
    """Lines and bars on a console; nothing at all when quiet."""

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or Console(stderr=False, highlight=False, soft_wrap=True)
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            with contextlib.suppress(OSError, ValueError):  # nobody may be there to read it, or a part has closed it
                self.console.print(printable(text), markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Bar]:
        """A bar for one step, with the time left; gone when the step is done."""
        if self.quiet or not self.console.is_terminal:
            yield Bar(None, title)
            return
        columns = (
            TextColumn("  {task.description:<24}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>8}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            yield Bar(bars, title)
