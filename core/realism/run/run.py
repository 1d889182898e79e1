"""A run: a folder that holds all it did, and goes on where it was stopped."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from realism.base.errors import RealismError
from realism.base.files import digest, write_json, write_text
from realism.base.tables import parts, read, write_part
from realism.data.artifacts import Artifact, Measures
from realism.data.rows import Measure
from realism.data.state import State
from realism.parts import Part, parts_of
from realism.parts.embedder import Embedder
from realism.parts.step import Step, all_reads, all_writes
from realism.parts.work import StepRecord
from realism.plugins.faults import faults_told
from realism.plugins.manager import Plugins
from realism.recipe.recipe import Recipe
from realism.run.fingerprint import describe, step_fingerprint
from realism.run.lock import locked
from realism.run.parts_in_use import parts_in_use
from realism.run.plugin_calls import PluginCalls
from realism.run.progress import View
from realism.run.seeds import pool
from realism.run.work import StepWork, asides

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt

LIBRARIES = ("torch", "diffusers", "transformers", "open_clip_torch", "faiss-cpu", "faiss-gpu", "pillow", "numpy")


@dataclass
class Run:
    """One recipe, carried out in one folder. To plugins and steps it is a `realism.parts.work.RunInfo`."""

    recipe: Recipe
    folder: Path
    plugins: Plugins
    view: View
    steps: list[StepRecord] = field(default_factory=list)
    _visited: list[Path] = field(default_factory=list)
    _held: list[Part] = field(default_factory=list)

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
    def aside_limit(self) -> float:
        return self.recipe.aside_limit

    @property
    def fingerprint(self) -> str:
        return digest(self.recipe.data)

    def versions(self) -> dict[str, str]:
        found = {"python": platform.python_version()}
        for name in LIBRARIES:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
        loaded = (p for p in self.plugins.plugins if p.distribution and not p.trouble)
        return {p.distribution: p.version for p in loaded} | found

    def say(self, text: str) -> None:
        self.view.say(text)

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
        """The version of the distribution behind each registered `module:Class`."""
        of_plugin = {p.name: p.version for p in self.plugins.plugins}
        return {e.target: of_plugin.get(e.plugin, "") for e in self.plugins.registry.entries()}

    def execute(self) -> State:
        """Do all steps, keeping those that are done. Raises RealismError for what the user can mend."""
        with locked(self.folder, self.view):
            self.folder = self.folder.absolute()  # whatever a part makes of the working folder
            write_text(self.folder / "recipe.yaml", yaml.safe_dump(self.recipe.data, sort_keys=False))
            self._calls.tell("realism_run_start")
            error: BaseException | None = None
            try:
                with faults_told(self.plugins.registry, self.folder):
                    state = self._steps()
                    self._write_aside()
                    return state
            except BaseException as caught:
                error = caught
                said = caught if isinstance(caught, KeyboardInterrupt) else f"stopped: {caught}"
                logging.getLogger("realism").error(str(said) or "stopped")
                with contextlib.suppress(OSError, RealismError):  # what stopped it is what is to be mended
                    self._write_aside()
                self._calls.tell("realism_error", error=caught)
                raise
            finally:
                self._calls.tell("realism_run_end", error=error)

    def report(self) -> None:
        """Write the report of what is done so far, without doing more."""
        kind = self.plugins.registry.get("report", "step").load()
        report = next((step for step in self.recipe.steps if isinstance(step, kind)), None) or kind()
        with locked(self.folder, self.view), faults_told(self.plugins.registry, self.folder):
            states: dict[int, State] = {}
            for record in self._records():
                self._visited.append(self.folder / record.folder)
                if record.title != report.title():
                    states[record.seed] = self._filled(states.get(record.seed, State()), record)
            self._step(report, self._pooled(list(states.values())), self.recipe.seed)

    def _records(self) -> list[StepRecord]:
        """The steps that were done, as run.json tells. Raises RealismError if it is damaged."""
        file = self.folder / "run.json"
        try:
            return [StepRecord(**told) for told in json.loads(file.read_text())["steps"]] if file.exists() else []
        except (ValueError, KeyError, TypeError):
            raise RealismError(f"'{file}' is damaged; 'realism run' of the same recipe writes it anew") from None

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
                    write_json(self.folder / "run.json", self._summary())
            states.append(state)
        state = self._pooled(states)
        for step in self.recipe.steps:
            if step.scope == "run":
                state = self._step(step, state, self.recipe.seed)
                write_json(self.folder / "run.json", self._summary())
        return state

    def _pooled(self, states: Sequence[State]) -> State:
        """The state of the first seed, with each table of measures that of all seeds which have it."""
        pooled = states[0] if states else State()
        for measures in dict.fromkeys(m for state in states for m in Measures.among(state)):
            done = [state for state in states if measures in state]
            if len(done) < 2:
                pooled = pooled.after({measures: done[0].path(measures)}, done[0][measures].fingerprint)
                continue
            fingerprint = digest([state[measures].fingerprint for state in done])
            folder = self.folder / "steps" / f"seeds-{fingerprint[:12]}" / measures.place
            write_part(pool([list(read(state.path(measures), Measure)) for state in done]), Measure, folder, 0)
            pooled = pooled.after({measures: folder}, fingerprint)
        return pooled

    def _place(self, step: Step, state: State, seed: int) -> tuple[str, Path]:
        """A step's fingerprint, and the folder that belongs to it."""
        reads = {artifact: state[artifact].fingerprint for artifact in all_reads(step, state)}
        others = step.depends_on(self.recipe.steps)
        fingerprint = step_fingerprint(step, others, reads, seed if step.scope == "seed" else None, self._part_versions)
        slug = re.sub(r"[^A-Za-z0-9]+", "-", step.title()).strip("-")
        return fingerprint, self.folder / "steps" / f"{slug}-{fingerprint[:12]}"

    def _relative(self, folder: Path) -> str:
        return folder.relative_to(self.folder).as_posix()

    def _step(self, step: Step, state: State, seed: int) -> State:
        fingerprint, folder = self._place(step, state, seed)
        shared = folder in self._visited  # an earlier seed has been here, or a step that is done twice alike
        self._visited.append(folder)
        done, title = folder / "done.json", step.title()
        kept = done.exists() and step.scope != "run" and is_whole(folder)
        record = StepRecord(title, self._relative(folder), fingerprint, kept, seed)
        if shared and kept:
            return self._filled(state, record)
        if kept:
            self.view.say(f"  {title:<24} kept")
        else:
            self._calls.tell("realism_step_start", step=title, folder=str(folder))
            made = self._work(step, state, folder, seed)
            artifacts = [a.as_json() | {"path": a.place, "parts": len(parts(folder / a.place))} for a in made]
            made_by = {"step": describe(step, self._part_versions), "versions": self.versions()}
            write_json(done, {"fingerprint": fingerprint, "artifacts": artifacts, **made_by})
        self._calls.tell("realism_step_end", step=title, folder=str(folder), kept=kept)
        return self._filled(state, record)

    def _filled(self, state: State, record: StepRecord) -> State:
        """The state after a step that is done, which is noted."""
        self.steps.append(record)
        return state.after(written_by(self.folder / record.folder), record.fingerprint)

    def _work(self, step: Step, state: State, folder: Path, seed: int) -> Sequence[Artifact]:
        """Do a step, and return what it has written."""
        folder.mkdir(parents=True, exist_ok=True)
        used = list(parts_of(step))
        for part in self._held:
            if not any(part is other for other in used):
                part.release()
        self._held = used
        learnt = state if step.learnt else State()
        depends = step.depends_on(self.recipe.steps)
        with (
            parts_in_use(used, learnt, self._embedder, self._part_versions),
            self.view.step(step.title()) as bar,
        ):
            work = StepWork(self, state, step.title(), folder, bar, seed, self._embedder, depends)
            with self._same_place(step):
                step.run(work)
            self._embedder.flush()
            work.note_time()
        made = all_writes(step, state)
        for artifact in made:
            if not (folder / artifact.place).exists():
                raise RealismError(f"step '{step.title()}' says that it writes {artifact}, but has not")
        timing = json.loads((folder / "timing.json").read_text())
        count = f"{timing['items']:,} {timing['unit']}, " if timing["items"] else ""
        self.view.say(f"  {step.title():<24} {count}{timing['seconds']:.1f} s")
        return made

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

    def _summary(self) -> dict[str, Any]:
        steps = [vars(record) for record in self.steps]
        return {
            "recipe": self.recipe.name,
            "fingerprint": self.fingerprint,
            "seeds": list(self.recipe.seeds),
            "versions": self.versions(),
            "steps": steps,
        }

    def _write_aside(self) -> None:
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["id", "step", "reason"])
        for folder in dict.fromkeys(self._visited):
            for row in asides(folder):
                writer.writerow([row.id, row.step, row.reason])
        write_text(self.folder / "aside.csv", text.getvalue())


def is_whole(folder: Path) -> bool:
    """Whether all that a step has written is there; where a part of a table is lost, the step fills the gap."""
    try:
        told = json.loads((folder / "done.json").read_text())["artifacts"]
        return all((folder / a["path"]).exists() and len(parts(folder / a["path"])) == a.get("parts") for a in told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True  # `written_by` says what is wrong


def written_by(folder: Path) -> dict[Artifact, Path]:
    """What a step that is done has written, by its folder; without kinds of which no imported module knows. Raises
    RealismError if the folder is damaged."""
    try:
        told = json.loads((folder / "done.json").read_text())["artifacts"]
        found = {Artifact.from_json(one): folder / one["path"] for one in told}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        said = f"'{folder / 'done.json'}' is damaged, or another version wrote it; remove that folder and run again"
        raise RealismError(said) from None
    return {artifact: path for artifact, path in found.items() if artifact is not None}
