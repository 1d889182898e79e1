"""Where a model's weights are: shipped by a plugin, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from realism.base.errors import RealismError, nearest
from realism.base.files import user_path

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def find_model(name: str) -> str | Path:
    """The folder of a model that a plugin registered ("garden/flux") or that lies on disk; else the name, as a hub id.

    A folder is absolute, relative to the working folder, or under "~". Raises RealismError for what looks like a folder
    and is not there, and for what cannot be a hub id.
    """
    from realism.plugins.manager import plugins

    registry = plugins().registry
    if entry := registry.find(name, "model"):
        folder = entry.path()
        if not folder.is_dir():
            raise RealismError(
                f"model '{name}' of plugin '{entry.plugin}' should be in {folder}, which is not there; "
                "install the plugin again or build the model"
            )
        return folder
    folder = user_path(name)
    if name and folder.is_dir():
        return folder
    shipped = [entry.name for entry in registry.entries("model")]
    if name.startswith((".", "/", "~")) or "\\" in name:
        raise RealismError(f"no model folder '{name}'{nearest(name, shipped)}")
    if not HUB_ID.fullmatch(name) or name.split("/")[0] in {entry.split("/")[0] for entry in shipped}:
        raise RealismError(
            f"no model '{name}'{nearest(name, shipped)}; expected a folder, a hub id such as 'owner/name', or one of "
            f"those shipped: {', '.join(shipped) or 'none'}"
        )
    return name


def local_folder(name: str) -> Path | None:
    """The folder of a model that is on this machine, or None when it is on the hub or not to be found."""
    try:
        found = find_model(name)
    except RealismError:
        return None
    return found if isinstance(found, Path) else None
