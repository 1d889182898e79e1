"""Finding plugins, and keeping a broken one from taking the others down."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from realism import hooks
from realism.registry import Registry

GROUP = "realism"


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found, and the sentence that says why it is not in use, if it is not."""

    name: str
    distribution: str
    version: str
    trouble: str = ""


class Plugins:
    """All plugins found, their hooks and what they registered."""

    def __init__(self, found: list[EntryPoint]):
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hooks)
        self.registry = Registry()
        self.plugins = [self._load(point) for point in found]

    @property
    def hook(self) -> pluggy.HookRelay:
        """Call a hook: `plugins.hook.realism_run_start(run=run)`."""
        return self.manager.hook

    @property
    def problems(self) -> list[str]:
        """One sentence for each plugin or registration that is left out."""
        return [p.trouble for p in self.plugins if p.trouble] + self.registry.refused

    def _load(self, point: EntryPoint) -> Plugin:
        distribution = point.dist.name if point.dist else ""
        version = point.dist.version if point.dist else ""
        try:
            self._register(point)
        except (Exception, SystemExit) as error:
            reason = str(error).strip().splitlines()
            text = reason[0] if reason else "no message"
            if isinstance(error, pluggy.PluginValidationError):
                text = text.removeprefix(f"Plugin {point.name!r}").lstrip(": ")
            trouble = f"plugin '{point.name}' ({distribution} {version}) is left out: {type(error).__name__}: {text}"
            return Plugin(point.name, distribution, version, trouble)
        return Plugin(point.name, distribution, version)

    def _register(self, point: EntryPoint) -> None:
        module = point.load()
        self.manager.register(module, name=point.name)
        try:
            self.manager.check_pending()
            self.registry.plugin = point.name
            for found in self.manager.hook.realism_register.get_hookimpls():
                if found.plugin_name == point.name:
                    found.function(self.registry)
        except BaseException:
            self.manager.unregister(name=point.name)
            raise


def installed() -> list[EntryPoint]:
    """The entry points of installed plugins: ours first, so that a name of ours stays ours, then by name."""
    return sorted(entry_points(group=GROUP), key=lambda p: (not p.dist or p.dist.name != "realism", p.name))


@functools.cache
def plugins() -> Plugins:
    """The installed plugins, loaded once a process."""
    return Plugins(installed())
