"""What can be used in a recipe: names, and the import paths behind them."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError, listed, nearest, shown
from realism.parts.base import FAMILIES, Part, one_of, part_families

NAME = re.compile(r"\w[\w./-]*")
TARGET = re.compile(r"\w[\w.]*:\S.*")


def describe_error(error: BaseException) -> str:
    """An error in one line: what it is, and what it says."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it tried to end the program (SystemExit{f': {text}' if text else ''}), which no plugin may"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass(frozen=True)
class Entry:
    """One registered thing: a target is `package.module:Name`, or `package:relative/path` for files."""

    family: str
    name: str
    target: str
    plugin: str

    def load(self) -> Any:
        """The object behind the import path; for a part or step, a class that can be made. Raises RealismError if it
        cannot be had."""
        module, _, attribute = self.target.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
            if self.family in FAMILIES:
                self._check(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and others too: it is a stranger's code
            raise RealismError(
                f"{self.family} '{self.name}' of plugin '{self.plugin}' cannot be loaded from '{self.target}': "
                f"{describe_error(error)}"
            ) from error
        return found

    def _check(self, found: Any) -> None:
        if not isinstance(found, type) or not issubclass(found, Part):
            raise TypeError("it is no class that inherits from one of realism's families, such as realism.Reward")
        if found.family != self.family:
            raise TypeError(f"it is {one_of(found.family)}, registered as {one_of(self.family)}")
        if "__dataclass_fields__" not in vars(found):
            raise TypeError("put @dataclass above the class, so that its fields become options")
        if missing := getattr(found, "__abstractmethods__", None):
            raise TypeError(f"it does not define {listed(missing)}")

    def path(self) -> Path:
        """The file or folder behind `package:relative/path`, found without importing the package."""
        package, _, relative = self.target.partition(":")
        try:
            found = importlib.util.find_spec(package)
        except Exception:  # what lies around the package is imported for it
            found = None
        if found is None or not found.submodule_search_locations:
            raise RealismError(f"{self.family} '{self.name}' of plugin '{self.plugin}': no package '{package}'")
        return Path(found.submodule_search_locations[0]) / relative


class Registry:
    """Names to import paths. Given to each plugin's `realism_register`."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.plugin = "realism"
        """The plugin that is registering now."""
        self.refused: list[str] = []
        """One sentence for each registration that was refused."""
        self.distributions: dict[str, str] = {}
        """The distribution that each plugin comes in, with its version: "realism-sharpness 0.3"."""

    def _add(self, family: str, name: str, target: str) -> None:
        if refusal := self._refusal(family, name, target):
            self.refused.append(f"plugin '{self.plugin}' registers {refusal}; it is left out")
        else:
            self._entries[family, name] = Entry(family, name, target, self.plugin)

    def _refusal(self, family: str, name: str, target: str) -> str | None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return f"a {family} as {name!r}; expected letters, digits and _ . / -"
        if taken := self.find(name, *(part_families() if family in part_families() else (family,))):
            return f"{family} '{name}', but plugin '{taken.plugin}' has a {taken.family} of that name"
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            return f"{family} '{name}' at {shown(target)}; expected 'module:Name'"
        return None

    def forget(self, plugin: str) -> None:
        """Take out all that a plugin has registered."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.plugin != plugin}

    def __getattr__(self, family: str) -> Callable[[str, str], None]:
        """One of that family, at `module:Class`: `registry.reward("sharpness", "realism_sharpness:Sharpness")`."""
        if family not in FAMILIES:
            near = nearest(family, FAMILIES)
            raise AttributeError(f"there is no family '{family}'{near}; there are: {listed(FAMILIES)}")
        return functools.partial(self._add, family)

    def model(self, name: str, target: str) -> None:
        """A folder of weights that the plugin ships, at `package:relative/folder`; `model: NAME` finds it."""
        self._add("model", name, target)

    def recipe(self, name: str, target: str) -> None:
        """A recipe file that the plugin ships, at `package:relative/file.yaml`; `realism run NAME` finds it."""
        self._add("recipe", name, target)

    def command(self, name: str, target: str) -> None:
        """A group of commands, at `module:app`, a typer.Typer: `realism NAME ...`. Keep that module light."""
        self._add("command", name, target)

    def entries(self, *families: str) -> Iterator[Entry]:
        """All entries of these families (of all, if none is named), by family and name."""
        for key in sorted(self._entries):
            if not families or key[0] in families:
                yield self._entries[key]

    def find(self, name: str, *families: str) -> Entry | None:
        """The entry of that name in one of these families, or None."""
        return next((e for f in families if (e := self._entries.get((f, name)))), None)

    def get(self, name: str, *families: str) -> Entry:
        """The entry of that name. Raises RealismError naming what there is instead."""
        entry = self.find(name, *families)
        if entry is None:
            names = [e.name for e in self.entries(*families)]
            kind = families[0] if len(families) == 1 else "part"
            raise RealismError(f"no {kind} named '{name}'; available: {listed(names)}{nearest(name, names)}")
        return entry
