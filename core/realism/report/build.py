"""The page of a run: one HTML file with all in it, to be sent to a colleague."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from realism.base.files import atomic_write
from realism.report import format, gallery
from realism.report.curves import training
from realism.report.maps import chart
from realism.report.measures import headline, palette, tables
from realism.report.thumbnails import heated, thumbnail
from realism.report.view import ReportView

HERE = Path(__file__).parent
KEPT = 128
"""Encoded thumbnails remembered while a page is written: the same reference serves many prompts."""


def build(view: ReportView, path: Path) -> Path:
    """Write the report to `path`, whole or not at all, and return it.

    The page is written as it is made and pictures are encoded one by one as they are reached, so that memory does not
    grow with the number of prompts. Pictures that are gone or broken leave a note in their place.
    """
    return write_page(
        "page.html.j2",
        path,
        view=view,
        headline=headline(view),
        tables=tables(view),
        sheets=(gallery.sheet(prompt, view) for prompt in gallery.by_change(view)),
        rewards=list(dict.fromkeys(name for prompt in view.prompts for name in gallery.ranks(prompt, view))),
        side=gallery.side(view),
        training=training(view.curves),
        groups=Counter(prompt.group for prompt in view.prompts),
        notes=notes_of(view),
        projections=[chart(encoder, points, palette(view)) for encoder, points in view.projections if points],
        colours=palette(view),
    )


def write_page(template: str, path: Path, **shown: Any) -> Path:
    """Write a page, piece by piece as it is made, whole or not at all, and return its path. shown: what the template
    names; style, script and policy are given to it besides."""
    script = _asset("page.js")
    page = _environment().get_template(template)
    chunks = page.generate(**shown, style=_asset("style.css"), script=script, policy=_policy(script))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(chunks)
    return path


def notes_of(view: ReportView) -> list[tuple[str, str]]:
    """The notes, each once, and none that the alerts say too."""
    loud = [text for _, text in view.alerts]
    return [(step, text) for step, text in dict.fromkeys(view.notes) if not any(text.endswith(one) for one in loud)]


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    remembered = lru_cache(maxsize=KEPT)(thumbnail)  # for this page alone, as files may change between two
    environment.globals |= {"thumbnail": remembered, "heated": heated, "credits": gallery.credits}
    environment.globals |= {"number": format.number, "rate": format.rate}
    environment.filters |= {"count": "{:,}".format, "duration": format.duration}
    environment.filters |= {"plural": format.plural, "score": format.score}
    environment.filters |= {"short": format.short, "sentence": format.sentence}
    return environment


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """The page's own security policy: it may load nothing, and run only the script it was built with. So even a hole
    in the escaping of prompts or metadata could neither run code nor call home."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
