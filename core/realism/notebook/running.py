"""Runs from Python: as on the command line, and shown in a notebook."""

from __future__ import annotations

import json
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

from realism.base.files import user_path
from realism.base.images import read_image
from realism.cli.work import run_recipe
from realism.data.artifacts import Samples
from realism.notebook.shown import Gallery, table
from realism.runs.reading import OpenRun

PER_ARM = 4
"""Pictures of each arm that a run shows."""


def run(
    recipe: str | Path, *overrides: str, out: str | Path | None = None, quiet: bool = False, **settings: Any
) -> ShownRun:
    """See `realism.run`."""
    changes = [*overrides, *(f"{key}={json.dumps(value, default=str)}" for key, value in settings.items())]
    folder = run_recipe(str(recipe), changes, user_path(str(out)) if out else None, [], [], quiet)
    return ShownRun(folder)


class ShownRun(OpenRun):
    """A run that shows itself in a notebook."""

    def __repr__(self) -> str:
        kinds = sorted({artifact.kind for artifact in self.artifacts if artifact.row is not None})
        return f"run in '{self.folder}' with: {', '.join(kinds)}"

    def _repr_html_(self) -> str:
        about = {"folder": self.folder, "seeds": ", ".join(map(str, self.seeds)), "report": self.folder / "report.html"}
        return table("run", about) + "".join(self._arm(samples) for samples in Samples.among(self.artifacts))

    def _arm(self, samples: Samples) -> str:
        rows = list(islice(self[samples], PER_ARM))
        pictures = [read_image(self.folder / row.image, max_side=256) for row in rows]
        return f"<p>{escape(samples.arm)}</p>" + Gallery(pictures, [row.text for row in rows])._repr_html_()
