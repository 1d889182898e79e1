"""A fit in several processes of this machine: the run's own, and others that it starts and that end with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from realism.base.errors import RealismError, sentence
from realism.data.artifacts import Weights
from realism.data.state import State
from realism.parts import Trainer, Tunable, parts_of
from realism.parts.embedder import Embedder
from realism.parts.work import Work
from realism.runs.progress import Bar
from realism.runs.work import NoRun, StepWork

T = TypeVar("T")
PATIENCE = 20.0
"""Seconds for the other processes to say how they ended, once one has failed."""


@dataclass(frozen=True)
class Task:
    """What one of the processes is to do: its rank, of how many, and all that the step's work is made of."""

    trainer: Trainer
    state: State
    title: str
    folder: Path
    root: Path
    seed: int
    threads: int
    meeting: Path
    processes: int
    rank: int = 0


@dataclass
class Other:
    """Another process, and what it has said: that it is ready, then how it ended."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    failed: tuple[float, str] | None = None
    """When it failed, and with which sentence."""

    def listen(self, seconds: float | None) -> None:
        """Hear what it says next, or that it is gone; nothing if it is silent for so long."""
        with contextlib.suppress(EOFError, ConnectionError):
            if self.pipe in wait([self.pipe, self.process.sentinel], seconds):
                message = self.pipe.recv()
                self.ready, self.failed = self.ready or message is None, message or self.failed
                return
        self.process.join(0 if seconds is None else min(seconds, 1))
        if self.process.exitcode not in (None, 0) and self.failed is None:
            died = f"was killed by signal {-code}" if (code := self.process.exitcode or 0) < 0 else f"ended with {code}"
            self.failed = (0.0, f"{died}, without a word")


def fit_in_processes(
    trainer: Trainer, work: Work, devices: int, fit: Callable[[contextlib.AbstractContextManager[dict[str, Any]]], T]
) -> T:
    """What `fit` returns in this process, which it does with a group of so many, each of which fits the trainer on its
    rows of every batch.

    Raises RealismError, in one sentence, if another process fails or dies. None is left when this returns or raises.
    """
    import torch

    if (found := torch.cuda.device_count()) and _on_gpu(trainer) and found < devices:
        raise RealismError(f"devices: {devices} are wanted, and {found} {'are' if found > 1 else 'is'} here")
    with tempfile.TemporaryDirectory() as folder:
        threads = torch.get_num_threads()
        about = (work.title, work.folder, work.root, work.seed, threads, Path(folder) / "meeting")
        task = Task(trainer, work.state if isinstance(work.state, State) else State(), *about, devices)
        others: list[Other] = []
        try:
            others.extend(_started(replace(task, rank=rank)) for rank in range(1, devices))
            made = fit(_met(task, others))
            for other in others:
                while other.process.is_alive() and not other.failed:
                    other.listen(None)
                if other.failed:
                    raise RealismError(_told(task, others, other))
            return made
        except Exception as error:
            if told := _failed_first(task, others, error):
                raise RealismError(told) from error
            raise
        finally:
            for other in others:
                other.process.kill()
                other.process.join()
                other.pipe.close()


def _started(task: Task) -> Other:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_follow, args=(task, theirs), daemon=True, name=f"fit-{task.rank}")
    with _without_script():
        process.start()
    theirs.close()
    return Other(process, ours)


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """A process that is started does not run the script that the user started, which would start the run again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _failed_first(task: Task, others: list[Other], error: Exception) -> str | None:
    """One sentence if another process failed before this one did, by what then is no more than a broken connection."""
    if isinstance(error, RealismError):
        return None
    now = time.monotonic()
    while time.monotonic() < now + PATIENCE and not any(other.failed for other in others):
        for other in others:
            other.listen(0.2)
    when = {other.failed[0]: other for other in others if other.failed}
    return _told(task, others, when[min(when)]) if when and min(when) < now else None


def _told(task: Task, others: list[Other], other: Other) -> str:
    assert other.failed is not None
    number = others.index(other) + 2
    return (
        f"{task.title}: process {number} of {task.processes} {other.failed[1]}; the same command goes on from the last "
        "checkpoint"
    )


@contextlib.contextmanager
def _met(task: Task, others: list[Other]) -> Iterator[dict[str, Any]]:
    """The group, once all others are ready to join it."""
    for other in others:
        while not other.ready:
            other.listen(None)
            if other.failed:
                raise RealismError(_told(task, others, other))
    with _joined(task) as processes:
        yield processes


@contextlib.contextmanager
def _joined(task: Task) -> Iterator[dict[str, Any]]:
    """This process is one of the group; what Lightning is to know of it."""
    import datetime

    import torch
    from lightning.pytorch.plugins.environments import LightningEnvironment
    from lightning.pytorch.strategies import DDPStrategy
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    class Started(LightningEnvironment):
        """Processes that are started already."""

        creates_processes_externally = True

        def local_rank(self) -> int:
            return task.rank

        def world_size(self) -> int:
            return task.processes

    gpu = _on_gpu(task.trainer)
    alone = "lo" if sys.platform == "linux" else "lo0"
    for backend in ("GLOO", "NCCL"):  # they speak to one another on this machine alone
        os.environ.setdefault(f"{backend}_SOCKET_IFNAME", alone)
    store = torch.distributed.FileStore(str(task.meeting), task.processes)
    patience = datetime.timedelta(hours=12)  # the others wait while the first draws snapshots
    torch.distributed.init_process_group(
        "nccl" if gpu else "gloo", store=store, rank=task.rank, world_size=task.processes, timeout=patience
    )
    try:
        strategy = DDPStrategy(cluster_environment=Started())
        yield {"devices": task.processes, "strategy": strategy, "accelerator": "gpu" if gpu else "cpu"}
    finally:
        torch.distributed.destroy_process_group()
        rank_zero_only.rank = 0


def _on_gpu(trainer: Trainer) -> bool:
    import torch

    return torch.cuda.is_available() and trainer.fit_options().get("accelerator", "auto") != "cpu"


def _follow(task: Task, pipe: Connection) -> None:
    """What another process does: it fits as the first, and writes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first is stopped, and ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        import torch

        from realism.steps.train_curves import CurveRecorder
        from realism.steps.train_fit import fit

        torch.set_num_threads(task.threads)
        if _on_gpu(task.trainer):
            torch.cuda.set_device(task.rank)
        for part in parts_of(task.trainer):
            if isinstance(part, Tunable):
                weights = task.state.get(Weights(part.part_name))
                part.use_weights(weights.path if weights else None)
        embedder = Embedder(task.root / "embeddings", task.root)
        host, bar = NoRun(task.root), Bar(None, task.title)
        work = StepWork(host, task.state, task.title, task.folder, bar, task.seed, embedder)
        curves = CurveRecorder(work.note)
        fit(task.trainer, work, [curves], loggers=[curves], group=_ready(task, pipe))
    except BaseException as error:
        with contextlib.suppress(OSError):
            pipe.send((time.monotonic(), f"failed: {sentence(error)}"))
        os._exit(1)


@contextlib.contextmanager
def _ready(task: Task, pipe: Connection) -> Iterator[dict[str, Any]]:
    pipe.send(None)
    with _joined(task) as processes:
        yield processes


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
