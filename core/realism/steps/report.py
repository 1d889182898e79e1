"""The step `report`: a page that shows the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from realism.data.artifacts import Artifact
from realism.parts.step import Artifacts, Step
from realism.parts.work import Work
from realism.report.gather import PROMPTS_SHOWN, gather


@dataclass
class WriteReport(Step):
    """Write report.html into the run's folder: one file with the pictures side by side, the measures and the recipe."""

    prompts: Annotated[int, Ge(0), Le(500)] = PROMPTS_SHOWN
    """How many prompts to show with their pictures, equally many of each group. At most 500: the page is one file."""
    by: str = ""
    """The key of the prompts' metadata, or `subject`, to group by; by default the first that `evaluate` grouped by."""

    scope = "run"

    def title(self) -> str:
        return "report"

    def reads(self, available: Artifacts) -> list[Artifact]:
        return list(available)

    def writes(self, available: Artifacts) -> list[Artifact]:
        return []

    def run(self, work: Work) -> None:
        from realism.report.build import build
        from realism.report.measures import headline

        view = gather(work, self.prompts, self.by)
        build(view, work.root / "report.html")
        for finding in headline(view).findings:
            work.say(finding.sentence)
