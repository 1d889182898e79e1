"""A run: a folder that holds all it did, and goes on where it was stopped."""

from __future__ import annotations

import functools
import json
import logging
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import yaml

from realism.base.errors import RealismError
from realism.base.files import digest, write_json, write_text
from realism.base.tables import read, write_part
from realism.data.rows import Measure
from realism.data.state import State
from realism.parts import Part, parts_of
from realism.parts.step import Step, all_reads
from realism.parts.tunable import use_learnt
from realism.plugins.manager import Plugins
from realism.recipe.recipe import Recipe
from realism.run.fingerprint import describe, step_fingerprint
from realism.run.progress import View
from realism.run.seeds import pool
from realism.run.work import Work, asides
from realism.steps.prompts import ReadPrompts
from realism.steps.report import WriteReport

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt

LIBRARIES = ("torch", "diffusers", "transformers", "open_clip_torch", "faiss-cpu", "faiss-gpu", "pillow", "numpy")


@dataclass(frozen=True)
class StepRecord:
    """A step as it was done: its title, where it worked (relative to the run), whether it was kept, for which seed."""

    title: str
    folder: str
    fingerprint: str
    kept: bool
    seed: int


@dataclass
class Run:
    """One recipe, carried out in one folder."""

    recipe: Recipe
    folder: Path
    plugins: Plugins
    view: View
    steps: list[StepRecord] = field(default_factory=list)
    _visited: list[Path] = field(default_factory=list)
    _held: list[Part] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """32 hex digits that stand for the resolved recipe."""
        return digest(self.recipe.data)

    def versions(self) -> dict[str, str]:
        """What the run was made with."""
        found = {"python": platform.python_version()}
        for name in LIBRARIES:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
        loaded = (p for p in self.plugins.plugins if p.distribution and not p.trouble)
        return {p.distribution: p.version for p in loaded} | found

    @functools.cached_property
    def _part_versions(self) -> dict[str, str]:
        """The version of the distribution behind each registered `module:Class`."""
        of_plugin = {p.name: p.version for p in self.plugins.plugins}
        return {e.target: of_plugin.get(e.plugin, "") for e in self.plugins.registry.entries()}

    def execute(self) -> State:
        """Do all steps, keeping those that are done. Raises RealismError for what the user can mend."""
        hook = self.plugins.hook
        with self._locked():
            write_text(self.folder / "recipe.yaml", yaml.safe_dump(self.recipe.data, sort_keys=False))
            self._tell(hook.realism_run_start, run=self)
            error: BaseException | None = None
            try:
                return self._steps()
            except BaseException as caught:
                error = caught
                logging.getLogger("realism").error("stopped: %s", caught)
                self._tell(hook.realism_error, run=self, error=caught)
                raise
            finally:
                self._write_aside()
                self._tell(hook.realism_run_end, run=self, error=error)

    def report(self) -> None:
        """Write the report of what is done so far, without doing more."""
        report = next((s for s in self.recipe.steps if isinstance(s, WriteReport)), WriteReport())
        with self._locked():
            states: dict[int, State] = {}
            file = self.folder / "run.json"
            for told in json.loads(file.read_text())["steps"] if file.exists() else []:
                record = StepRecord(**told)
                self._visited.append(self.folder / record.folder)
                if record.title != report.title():
                    states[record.seed] = self._filled(states.get(record.seed, State()), record)
            self._step(report, self._pooled(list(states.values())), self.recipe.seed)

    def _sequence(self) -> Iterator[Step]:
        if self.recipe.prompts is not None:
            yield ReadPrompts(self.recipe.prompts)
        yield from self.recipe.steps

    def _steps(self) -> State:
        """All steps, for each seed; then, once, those that show the run as a whole."""
        states = []
        for seed in self.recipe.seeds:
            if len(self.recipe.seeds) > 1:
                self.view.say(f"seed {seed}")
            state = State()
            for step in self._sequence():
                if not step.always:
                    state = self._step(step, state, seed)
                    write_json(self.folder / "run.json", self._summary())
            states.append(state)
        state = self._pooled(states)
        for step in self._sequence():
            if step.always:
                state = self._step(step, state, self.recipe.seed)
                write_json(self.folder / "run.json", self._summary())
        return state

    def _pooled(self, states: Sequence[State]) -> State:
        """The state of the first seed, with the measures of all seeds that have some."""
        if not states:
            return State()
        done = [state for state in states if "measures" in state]
        if len(done) < 2:
            return done[0] if done else states[0]
        fingerprint = digest([state["measures"].fingerprint for state in done])
        folder = self.folder / "steps" / f"seeds-{fingerprint[:12]}"
        write_part(pool([list(read(s.path("measures"), Measure)) for s in done]), Measure, folder / "measures", 0)
        return done[0].filled({"measures": folder / "measures"}, fingerprint)

    def _place(self, step: Step, state: State, seed: int) -> tuple[str, Path]:
        """A step's fingerprint, and the folder that belongs to it."""
        reads = all_reads(step, list(state))
        others = step.depends_on(self.recipe)
        fingerprint = step_fingerprint(step, others, state, reads, seed if step.seeded else None, self._part_versions)
        slug = re.sub(r"[^A-Za-z0-9]+", "-", step.title()).strip("-")
        return fingerprint, self.folder / "steps" / f"{slug}-{fingerprint[:12]}"

    def _relative(self, folder: Path) -> str:
        return folder.relative_to(self.folder).as_posix()

    def _step(self, step: Step, state: State, seed: int) -> State:
        fingerprint, folder = self._place(step, state, seed)
        shared = folder in self._visited  # an earlier seed has been here, or a step that is done twice alike
        self._visited.append(folder)
        done = folder / "done.json"
        hook, title = self.plugins.hook, step.title()
        kept = done.exists() and not step.always
        if shared and kept:
            return self._filled(state, StepRecord(title, self._relative(folder), fingerprint, kept, seed))
        if kept:
            self.view.say(f"  {title:<24} kept")
        else:
            self._tell(hook.realism_step_start, run=self, step=title, folder=str(folder))
            slots = self._work(step, state, folder, seed)
            made_by = {"step": describe(step, self._part_versions), "versions": self.versions()}
            write_json(done, {"fingerprint": fingerprint, "slots": slots, "voids": step.voids(state), **made_by})
        self._tell(hook.realism_step_end, run=self, step=title, folder=str(folder), kept=kept)
        return self._filled(state, StepRecord(title, self._relative(folder), fingerprint, kept, seed))

    def _filled(self, state: State, record: StepRecord) -> State:
        """The state after a step that is done, which is noted."""
        self.steps.append(record)
        folder = self.folder / record.folder
        try:
            done = json.loads((folder / "done.json").read_text())
            slots, voids = done["slots"], done["voids"]
        except (ValueError, KeyError, TypeError):
            raise RealismError(f"'{folder / 'done.json'}' is damaged; remove the folder and run again") from None
        return state.without(voids).filled({slot: folder / path for slot, path in slots.items()}, record.fingerprint)

    def _work(self, step: Step, state: State, folder: Path, seed: int) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        used = list(parts_of(step))
        for part in self._held:
            if not any(part is other for other in used):
                part.release()
        self._held = used
        use_learnt(step, state if step.with_learnt() else {})
        with self.view.step(step.title()) as bar:
            work = Work(self, step.title(), folder, bar, seed)
            slots = step.run(state, work)
            work.note_time()
        timing = json.loads((folder / "timing.json").read_text())
        count = f"{timing['items']:,} {timing['unit']}, " if timing["items"] else ""
        self.view.say(f"  {step.title():<24} {count}{timing['seconds']:.1f} s")
        return {slot: str(path.relative_to(folder)) for slot, path in slots.items()}

    def _tell(self, hook: Any, **arguments: Any) -> list[Any]:
        """Call a life-cycle hook and return the answers. A plugin that fails in it is named, and the run goes on."""
        answers = []
        for found in hook.get_hookimpls():
            wanted = {name: arguments[name] for name in found.argnames}
            try:
                answers.append(found.function(**wanted))
            except (Exception, SystemExit) as error:
                self.warn(f"plugin '{found.plugin_name}' failed in {hook.name}: {type(error).__name__}: {error}")
        return answers

    def screen(self, step: str, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[str | None]:
        """What plugins say of images just made: for each the first reason to set it aside, or None."""
        reasons: list[str | None] = [None] * len(images)
        for said in self._tell(
            self.plugins.hook.realism_images_made, run=self, step=step, images=images, prompts=prompts
        ):
            if said is not None and len(said) != len(images):
                self.warn(f"a plugin's realism_images_made gave {len(said)} answers for {len(images)} images; not used")
            elif said is not None:
                reasons = [a if a is not None else b for a, b in zip(reasons, said, strict=True)]
        return reasons

    def tell_scores(self, step: str, arm: str, reward: str, given: dict[str, float]) -> None:
        """Tell plugins what a reward has given to samples of one arm, by sample id."""
        hook = self.plugins.hook.realism_scores_given
        self._tell(hook, run=self, step=step, arm=arm, reward=reward, ids=list(given), values=list(given.values()))

    def higher_is_better(self, reward: str) -> bool:
        """What a reward of this recipe says of the value of that full name."""
        output = self.recipe.rewards.get(reward)
        return output is None or output.higher_is_better

    def warn(self, text: str) -> None:
        """Say something that does not stop the run, on the console and in its log."""
        logging.getLogger("realism").warning(text)
        self.view.say(f"  note: {text}")

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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RealismError(f"run folder '{self.folder}' cannot be made: {error.strerror}") from None
        there = [p.name for p in self.folder.iterdir()]
        if there and not {".lock", "run.json"} & set(there):
            raise RealismError(f"'{self.folder}' holds other files and no run; choose a new or empty folder with --out")
        lock = filelock.FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RealismError(
                f"another process is at work in '{self.folder}'; wait for it, or choose another folder with --out"
            ) from None
        log = logging.getLogger("realism")
        handler = logging.FileHandler(self.folder / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(handler)
            handler.close()
            lock.release()
