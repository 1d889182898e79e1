"""What every step must do."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from realism.base.files import fingerprint_path
from realism.base.tables import Row
from realism.data.artifacts import Artifact
from realism.parts import Step
from realism.parts.returned import artifacts_error
from realism.parts.work import Table
from realism.runs.work import StepWork
from realism.testing.examples import example_artifacts
from realism.testing.part import PartSuite
from realism.testing.step import Given, carry_out, work_with


class StepSuite(PartSuite):
    """The contract of `realism.Step`. Where a step reads what no step of core writes, its suite gives it: override
    `available`."""

    def available(self, part: Step, root: Path) -> Given:
        """The artifacts that the step finds in a run's folder: by default small ones of the kinds that it reads, for
        four prompts. Images lie below `root`, and rows name them relative to it."""
        return example_artifacts(part, root)

    def test_it_has_a_title(self, part: Step) -> None:
        title = part.title()
        assert isinstance(title, str) and title.strip(), f"title() should be a text, not {title!r}"

    def test_what_it_reads_and_writes_are_artifacts(self, part: Step) -> None:
        with self._run(part) as work:
            for method, found in (("reads", part.reads(work.state)), ("writes", part.writes(work.state))):
                assert (error := artifacts_error(method, found)) is None, error

    def test_it_does_not_conflict_with_what_it_reads(self, part: Step) -> None:
        with self._run(part) as work:
            conflicts = part.conflicts(work.state)
        assert conflicts == [], f"conflicts() finds fault with what it was given: {conflicts}"

    def test_it_writes_what_it_says_and_nowhere_else(self, part: Step) -> None:
        with self._run(part) as work:
            before = _files(work)
            carry_out(part, work)
            changed = [str(path) for path, state in _files(work).items() if before.get(path) != state]
        assert not changed, f"it writes beyond its folder: {', '.join(changed)}"

    def test_done_twice_it_writes_the_same(self, part: Step) -> None:
        with self._run(part) as first, self._run(part) as second:
            other = _difference(_written(part, first), _written(part, second))
            assert not other, f"{other} is another one the second time, of the same input and seed"

    def test_stopped_on_its_way_it_goes_on_to_the_same_end(self, part: Step) -> None:
        with self._run(part) as whole, self._run(part) as stopped:
            stopped.write = _write_once(stopped)  # type: ignore[method-assign]
            with contextlib.suppress(_Stop):
                carry_out(part, stopped)
            other = _difference(_written(part, whole), _written(part, self._work(part, stopped.root)))
            assert not other, f"stopped after one shard and done again, {other} is not as if it had not been stopped"

    @contextlib.contextmanager
    def _run(self, part: Step) -> Iterator[StepWork]:
        with tempfile.TemporaryDirectory() as folder:
            yield self._work(part, Path(folder))

    def _work(self, part: Step, root: Path) -> StepWork:
        return work_with(root, self.available(part, root), part.title())


class _Stop(BaseException):
    """Stands for the end of the process."""


def _write_once(work: StepWork) -> Any:
    """Instead of a step's `work.write`: writes one shard, and is stopped at the next."""
    write = work.write
    written: list[int] = []

    def once(target: Artifact | Table, rows: Sequence[Row], number: int = 0) -> None:
        if written:
            raise _Stop
        written.append(number)
        write(target, rows, number)

    return once


def _files(work: StepWork) -> dict[Path, str]:
    """What lies in the run's folder beside that of the step and of vectors, and in the working folder."""
    own = (work.folder, work.root / "embeddings")
    inside = (path for path in work.root.rglob("*") if path.is_file())
    found = {path: fingerprint_path(path) for path in inside if not any(path.is_relative_to(one) for one in own)}
    return found | dict.fromkeys(Path.cwd().iterdir(), "")


def _written(step: Step, work: StepWork) -> dict[Artifact, object]:
    """What a step writes when it is done or goes on: rows, without the place of the run's folder, or a fingerprint."""
    artifacts = step.writes(work.state)
    carry_out(step, work)
    return {one: _content(one, work) for one in artifacts}


def _content(artifact: Artifact, work: StepWork) -> object:
    if artifact.row is None:
        return fingerprint_path(work.path(artifact))
    return [str(row.as_cells()).replace(str(work.root), "") for row in work.read(artifact)]


def _difference(one: dict[Artifact, object], other: dict[Artifact, object]) -> str:
    """The first artifact that is not the same in both, in words; "" if there is none."""
    return next((str(artifact) for artifact in one if one[artifact] != other.get(artifact)), "")
