"""`realism compare`: several runs side by side on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from realism.base.errors import RealismError, listed
from realism.base.files import digest
from realism.cli.runs import RUNS, find_run
from realism.data.artifacts import PromptTable
from realism.parts.work import Work
from realism.report.compare import PROMPTS_SHOWN, ComparedRun, CompareView, build_comparison
from realism.report.gather import gather
from realism.runs.progress import View
from realism.runs.record import status_of
from realism.runs.stored import StoredRun


def compare_runs(names: Sequence[str], out: Path | None) -> None:
    """`realism compare`."""
    view = View()
    folders = [find_run(name) for name in names]
    places = [folder.resolve() for folder in folders]
    if twice := next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None):
        raise RealismError(f"'{twice}' is named twice; name two different runs")
    if len(folders) < 2:
        raise RealismError(f"'{folders[0]}' is one run; name two or more to compare")
    shown = compared(folders, view)
    recipes = {run.name for run in shown.runs}
    if len(recipes) > 1:
        view.say(f"note: these are runs of different recipes: {listed(recipes)}")
    if out is not None:
        _check_target(out)
    path = out or RUNS / f"compare-{digest(list(map(str, places)))[:8]}.html"
    view.say(f"comparison: {build_comparison(shown, path)}")


def _check_target(path: Path) -> None:
    """Raises RealismError unless the page would be a new file."""
    if path.suffix != ".html":
        raise RealismError(f"--out '{path}' is no page; expected a file that ends in .html")
    if path.exists() or path.is_symlink():
        raise RealismError(f"--out '{path}' is there already; choose another name, or remove it first")


def compared(folders: Sequence[Path], view: View) -> CompareView:
    """What is shown of the runs in these folders, which are only read. Pictures are those of prompts that all of them
    have, the same ones of each run. Raises RealismError where there is nothing to compare."""
    found = []
    with TemporaryDirectory() as scratch:
        runs = [(folder, StoredRun(folder, view)) for folder in folders]
        works = [run.work(Path(scratch) / str(number)) for number, (_, run) in enumerate(runs)]
        among = set.intersection(*map(_texts, works))
        for (folder, run), work in zip(runs, works, strict=True):
            shown = gather(work, PROMPTS_SHOWN, among={id for id, _ in among})
            among = {(prompt.id, prompt.text) for prompt in shown.prompts}
            found.append(
                ComparedRun(
                    name=run.name,
                    folder=str(folder),
                    state=status_of(run.record, folder),
                    error=run.error,
                    recipe=run.data,
                    measures=shown.measures,
                    prompts=shown.prompts,
                    seeds=shown.seeds,
                )
            )
    shared = Counter(name for run in found for name in {row.name for row in run.measures})
    if not among and max(shared.values(), default=0) < 2:
        measures = "; ".join(f"'{run.folder}': {listed({row.name for row in run.measures})}" for run in found)
        raise RealismError(f"these runs have neither a measure nor a prompt in common; their measures: {measures}")
    return CompareView(tuple(found))


def _texts(work: Work) -> set[tuple[str, str]]:
    """The ids and texts of the prompts that a report shows."""
    last = PromptTable.among(work.state)[-1:]
    return {(row.id, row.text) for prompts in last for row in work.read(prompts)}
