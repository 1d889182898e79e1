"""A run: a folder with all results, which goes on where it was stopped."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError, listed, nearest, sentence
from realism.base.files import digest, write_text
from realism.data.artifacts import Artifact, Samples
from realism.data.state import State
from realism.parts import Part, Retriever, parts_of
from realism.parts.embedder import Embedder
from realism.parts.step import Step, all_reads, all_writes
from realism.parts.work import StepRecord
from realism.plugins.faults import faults_reported
from realism.plugins.manager import Plugins
from realism.recipe.complete import COMPLETE, complete
from realism.recipe.reader import written
from realism.recipe.recipe import Recipe
from realism.runs.start import StepStart, inputs_changed, threads
from realism.runs.code import code_of
from realism.runs.manifest import DONE, Manifest, write_manifest
from realism.runs.fingerprint import describe, step_fingerprint
from realism.runs.stored import write_report
from realism.runs.lock import locked
from realism.runs.notes import warnings_recorded
from realism.runs.parts_in_use import parts_in_use
from realism.runs.plugin_calls import PluginCalls
from realism.runs.progress import View
from realism.runs.record import RecordWriter, RunRecord, Status
from realism.runs.seeds import pooled
from realism.runs.versions import part_versions, versions_of
from realism.runs.work import StepWork, skipped_rows, write_skipped

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt


@dataclass
class Run:
    """One recipe, carried out in one folder. To plugins and steps it is a `realism.parts.work.RunInfo`."""

    recipe: Recipe
    folder: Path
    plugins: Plugins
    view: View
    fresh: tuple[str, ...] = ()
    """The titles of steps to do anew, though they are done."""
    steps: list[StepRecord] = field(default_factory=list)
    error: str = ""
    _manifests: dict[Path, Manifest | None] = field(default_factory=dict)
    """Of the steps so far, by their folders; None while a step is at work."""
    _loaded: list[Part] = field(default_factory=list)
    """The parts that the last step used."""
    _at: str = ""
    _threads: set[int] = field(default_factory=set)
    """With how many threads the steps that are kept were done."""

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def description(self) -> str:
        return self.recipe.description

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.recipe.seeds

    @property
    def data(self) -> Mapping[str, Any]:
        return self.recipe.data

    @property
    def skipped_limit(self) -> float:
        return self.recipe.skipped_limit

    @property
    def fingerprint(self) -> str:
        return digest(self.recipe.data)

    def versions(self) -> dict[str, str]:
        return self._versions

    @functools.cached_property
    def _versions(self) -> dict[str, str]:
        return versions_of(self.plugins)

    def say(self, text: str) -> None:
        """Print a line, which goes into the log as well."""
        self.view.say(text)
        self._log(text.strip())

    def _log(self, text: str) -> None:
        logging.getLogger("realism").info("%s", text)

    def warn(self, text: str) -> None:
        logging.getLogger("realism").warning(text)  # from where the view has it, see `locked`

    def screen(
        self, step: str, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]
    ) -> list[str | None]:
        return self._calls.screen(step, images, prompts)

    def report_scores(self, step: str, arm: str, reward: str, given: Mapping[str, float]) -> None:
        self._calls.report_scores(step, arm, reward, given)

    @functools.cached_property
    def _calls(self) -> PluginCalls:
        return PluginCalls(self.plugins, self)

    @functools.cached_property
    def _embedder(self) -> Embedder:
        return Embedder(self.folder / "embeddings", self.folder)

    @functools.cached_property
    def _part_versions(self) -> dict[str, str]:
        return part_versions(self.plugins)

    @functools.cached_property
    def _writer(self) -> RecordWriter:
        r = self.recipe
        return RecordWriter(
            RunRecord(r.name, self.fingerprint, r.seeds, self.versions(), overrides=r.overrides), self.folder
        )

    def execute(self) -> State:
        """Do all steps, keeping those that are done. Raises RealismError for what the user can mend."""
        code_of.cache_clear()  # in a notebook, it may have been edited since
        self._check_fresh()
        with locked(self.folder, self.view):
            self.folder = self.folder.absolute()  # whatever a part makes of the working folder
            error: BaseException | None = None
            try:
                with faults_reported(self.plugins.registry, self.folder):
                    self._note("at work")
                    write_text(self.folder / "recipe.yaml", written(self.recipe.data))
                    write_text(self.folder / COMPLETE, complete(self.recipe.data, self.plugins.registry))
                    self._log(f"run of {self.name}, recipe {self.fingerprint[:8]}, process {os.getpid()}")
                    self._calls.notify("realism_run_start")
                    state = self._steps()
                    self._write_skipped()
                    self._note("done")
                    self._log("run done")
                    return state
            except BaseException as caught:
                error = caught
                message = caught if isinstance(caught, KeyboardInterrupt) else f"stopped: {caught}"
                logging.getLogger("realism").error(str(message) or "stopped")
                self._stopped(caught)
                self._calls.notify("realism_error", error=caught)
                raise
            finally:
                self._calls.notify("realism_run_end", error=error)

    def _check_fresh(self) -> None:
        titles = [step.title() for step in self.recipe.steps]
        for unknown in (title for title in self.fresh if title not in titles):
            raise RealismError(f"no step '{unknown}' to do anew{nearest(unknown, titles)}; steps: {listed(titles)}")

    def _steps(self) -> State:
        """All steps, for each seed; then, once, those that show the run as a whole."""
        states = []
        for seed in self.recipe.seeds:
            if len(self.recipe.seeds) > 1:
                self.view.say(f"seed {seed}")
            state = State()
            for step in self.recipe.steps:
                if step.scope != "run":
                    state = self._step(step, state, seed)
                    if not self.steps[-1].kept:  # an earlier run.json tells of those that are
                        self._note("at work")
            states.append(state)
        state = pooled(states, self.folder / "steps")
        for step in self.recipe.steps:
            if step.scope == "run":
                state = self._step(step, state, self.recipe.seed)
                self._note("at work")
        return state

    def _place(self, step: Step, state: State, seed: int) -> tuple[str, Path]:
        """A step's fingerprint, and the folder that belongs to it."""
        reads = {artifact: state[artifact].fingerprint for artifact in all_reads(step, state)}
        others = step.depends_on(self.recipe.steps)
        screens = self._calls.screens() if any(isinstance(made, Samples) for made in all_writes(step, state)) else []
        own_seed = seed if step.scope == "seed" else None
        fingerprint = step_fingerprint(step, others, reads, own_seed, self._part_versions, screens)
        slug = re.sub(r"[^A-Za-z0-9]+", "-", step.title()).strip("-")
        return fingerprint, self.folder / "steps" / f"{slug}-{fingerprint[:12]}"

    def _step(self, step: Step, state: State, seed: int) -> State:
        fingerprint, folder = self._place(step, state, seed)
        self._at = title = step.title()
        record = partial(StepRecord, title, folder.relative_to(self.folder).as_posix(), fingerprint, seed=seed)
        if step.scope != "run" and (manifest := self._manifests.get(folder)):  # of another seed, or of an equal step
            return self._after(state, record(kept=True), manifest)
        self._manifests[folder] = None
        reads = self._contents_read(step, state)
        self._refresh(step, folder, reads)
        manifest = self._kept(step, folder)
        kept = manifest is not None
        if manifest:
            self.view.say(f"  {title:<24} kept")
            self._log(f"{title}: kept")
            self._threads.add(manifest.threads)
        else:
            self._note("at work")
            self._calls.notify("realism_step_start", step=title, folder=str(folder))
            self._log(f"{title}: started")
            start = StepStart(reads, threads())
            start.write(folder, title, self._threads, self.warn)
            outputs = self._work(step, state, folder, seed)
            described = describe(step, self._part_versions)
            about = {"threads": start.threads, "skipped_limit": self.skipped_limit, "versions": self.versions()}
            manifest = write_manifest(folder, fingerprint, outputs, about | {"step": described})
        self._manifests[folder] = manifest
        self._calls.notify("realism_step_end", step=title, folder=str(folder), kept=kept)
        return self._after(state, record(kept=kept), manifest)

    def _contents_read(self, step: Step, state: State) -> dict[str, str]:
        """A hash of the contents of each input of a step, by its place."""
        if step.scope == "run":
            return {}
        steps = self.folder / "steps"
        folders = {a.place: steps / state.path(a).relative_to(steps).parts[0] for a in all_reads(step, state)}
        manifests = {place: self._manifests.get(folder) for place, folder in folders.items()}
        return {place: manifest.contents if manifest else "" for place, manifest in manifests.items()}

    def _refresh(self, step: Step, folder: Path, reads: Mapping[str, str]) -> None:
        """Remove what an earlier run left of a step that is to be done anew: the user says so, or what it has read is
        no longer what it would read. A step of the run as a whole is done anew each time."""
        if (title := step.title()) in self.fresh or step.scope == "run":
            shutil.rmtree(folder, ignore_errors=True)
        elif inputs_changed(folder, reads):
            self.warn(f"{title}: what it reads has changed since it was done; it is done anew")
            shutil.rmtree(folder)

    def _kept(self, step: Step, folder: Path) -> Manifest | None:
        """The manifest of a step that need not be done; None if it is to be done, or some of its outputs are missing,
        which it makes then, with a warning."""
        if step.scope == "run" or not (folder / DONE).exists():
            return None
        manifest = Manifest(folder)
        if missing := manifest.missing():
            names = f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
            self.warn(f"{step.title()}: {names} is missing and is made again")
            return None
        # under a stricter limit, its skipped items are counted again
        stricter = manifest.skipped_limit > self.skipped_limit and any(skipped_rows(folder))
        return None if stricter else manifest

    def _after(self, state: State, record: StepRecord, manifest: Manifest) -> State:
        """The state after a step that is done."""
        self.steps.append(record)
        self._at = ""
        return state.after(manifest.outputs(), record.fingerprint)

    def _work(self, step: Step, state: State, folder: Path, seed: int) -> Sequence[Artifact]:
        """Do a step, and return what it has written."""
        folder.mkdir(parents=True, exist_ok=True)
        depends = step.depends_on(self.recipe.steps)
        encoders = [part for other in depends for part in parts_of(other) if isinstance(part, Retriever)]
        used = list({id(part): part for part in [*parts_of(step), *encoders]}.values())
        for part in self._loaded:
            if not any(part is other for other in used):
                part.release()
        self._loaded = used
        trained = state if step.trained else State()
        with (
            warnings_recorded(folder),
            parts_in_use(used, trained, self._embedder, self._part_versions, step.title() in self.fresh),
            self.view.step(step.title()) as bar,
        ):
            work = StepWork(self, state, step.title(), folder, bar, seed, self._embedder, depends)
            with self._same_place(step):
                step.run(work)
            self._embedder.flush()
            work.note_time()
        outputs = all_writes(step, state)
        for artifact in outputs:
            if not (folder / artifact.place).exists():
                raise RealismError(f"step '{step.title()}' says that it writes {artifact}, but has not")
        self.view.say(f"  {step.title():<24} {work.time_spent()}")
        self._log(f"{step.title()}: done, {work.time_spent()}")
        return outputs

    def _note(self, state: Status) -> None:
        """Write run.json."""
        self._writer.write(state, self.steps, self._at, self.error)

    def _stopped(self, error: BaseException) -> None:
        """Record the error that ended the run, and report the steps that are done. Errors of that are logged, as the
        first one matters more."""
        self.error = "" if isinstance(error, KeyboardInterrupt) else sentence(error)
        try:
            self._note("failed" if self.error else "stopped")
            self._write_skipped()
            if self.error:
                write_report(self.folder, self.plugins.registry, View(quiet=True))
                self.say(f"report of what is done: {os.path.relpath(self.folder / 'report.html')}")
        except Exception as another:
            logging.getLogger("realism").info("the report of what is done was not written: %s", sentence(another))

    @contextlib.contextmanager
    def _same_place(self, step: Step) -> Iterator[None]:
        """The working folder is afterwards what it was: relative paths of recipe and run begin there."""
        began = Path.cwd()
        try:
            yield
        finally:
            if (now := Path.cwd()) != began:
                os.chdir(began)
                self.warn(f"{step.title()}: a part changed the working folder to '{now}', which no part may")

    def _write_skipped(self) -> None:
        write_skipped(self._manifests, self.folder / "skipped.csv")
