"""Finding plugins, and keeping a broken one from taking the others down."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from realism.base.errors import RealismError, listed, nearest
from realism.plugins import hooks
from realism.plugins.registry import Registry, describe_error

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
        trouble = ""
        try:
            self._register(point)
            self.registry.distributions[point.name] = f"{distribution} {version}".strip()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and others too: it is a stranger's code
            trouble = f"plugin '{point.name}' ({distribution} {version}) is left out: {_reason(error)}"
        return Plugin(point.name, distribution, version, trouble)

    def _register(self, point: EntryPoint) -> None:
        module = point.load()
        try:
            self.manager.register(module, name=point.name)
            self.manager.check_pending()
            callers = self.manager.get_hookcallers(module)
            if not callers:
                raise RealismError(f"'{point.value}' has no hook; put @hook above its realism_register")
            if refusal := _refusal([i for c in callers for i in c.get_hookimpls() if i.plugin is module]):
                raise RealismError(refusal)
            self.registry.plugin = point.name
            others = [plugin for plugin in self.manager.get_plugins() if plugin is not module]
            self.manager.subset_hook_caller("realism_register", others)(registry=self.registry)
        except BaseException:
            if self.manager.get_plugin(point.name) is module:
                self.manager.unregister(name=point.name)
                self.registry.forget(point.name)
            raise


def _refusal(found: Iterable[pluggy.HookImpl]) -> str | None:
    """One sentence if a function could not be called as a hook, each plugin by itself, else None."""
    for one in found:
        name = one.function.__name__
        if one.wrapper or one.hookwrapper:
            return f"{name} is a wrapper around other plugins' hooks; take a plain function, with @hook alone"
        if inspect.iscoroutinefunction(one.function) or inspect.isgeneratorfunction(one.function):
            return f"{name} would never be run, as it is 'async' or has a 'yield'; take a plain function"
    return None


def _reason(error: BaseException) -> str:
    """Why a plugin is left out, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, pluggy.PluginValidationError):
        available = [n for n in vars(hooks) if n.startswith("realism_")]
        if unknown := re.search(r"unknown hook '(\w+)'", text):
            return f"no hook is called '{unknown[1]}'{nearest(unknown[1], available)}; hooks: {listed(available)}"
        if wrong := re.search(r"for hook '(\w+)'.*Argument\(s\) \{(.*?)\} are declared", text):
            allowed = listed(inspect.signature(getattr(hooks, wrong[1])).parameters)
            return f"{wrong[1]} has no argument {wrong[2]}; it may take: {allowed}"
    return text if isinstance(error, RealismError) else describe_error(error)


def installed() -> list[EntryPoint]:
    """The entry points of installed plugins: ours first, so that a name of ours stays ours, then by name."""
    return sorted(entry_points(group=GROUP), key=lambda p: (not p.dist or p.dist.name != "realism", p.name))


@functools.cache
def plugins() -> Plugins:
    """The installed plugins, loaded once a process."""
    return Plugins(installed())
