"""The versions of what a run is made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from realism.plugins.manager import Plugins

LIBRARIES = ("torch", "diffusers", "transformers", "open_clip_torch", "faiss-cpu", "faiss-gpu", "pillow", "numpy")


def versions_of(plugins: Plugins) -> dict[str, str]:
    """Of the plugins in use, of Python, and of the libraries that decide what is computed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    loaded = (plugin for plugin in plugins.plugins if plugin.distribution and not plugin.trouble)
    return {plugin.distribution: plugin.version for plugin in loaded} | found


def part_versions(plugins: Plugins) -> dict[str, str]:
    """The version of the distribution behind each registered `module:Class`."""
    of_plugin = {plugin.name: plugin.version for plugin in plugins.plugins}
    return {entry.target: of_plugin.get(entry.plugin, "") for entry in plugins.registry.entries()}
