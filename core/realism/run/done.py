"""What a step that is done has written."""

from __future__ import annotations

import json
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.tables import parts
from realism.data.artifacts import Artifact


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
