"""A hash of the code of a part under development; "" for one installed from a release."""

from __future__ import annotations

import ast
import functools
import importlib.util
import site
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from realism.base.files import digest


@functools.cache
def code_of(module: str) -> str:
    """32 hex digits that identify the source of a module under development and of all such that it imports, directly
    or not; "" for one of an installed release, which does not change.

    Under development is what lies outside of the folders of installed packages (a checkout, an editable install, a
    script), and what was installed from a folder, an archive or a repository instead of an index."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in sources or (path := _source(name)) is None:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        sources[name] = digest(text)
        waiting += _imported(text, name, is_package=path.name == "__init__.py")
    return digest(sources) if sources else ""


@functools.cache
def _source(module: str) -> Path | None:
    """The file of a module under development; None for all others. Nothing is imported to find it."""
    top, *inner = module.split(".")
    if not _developed(top) or (found := importlib.util.find_spec(top)) is None:
        return None
    places = [Path(folder, *inner) for folder in found.submodule_search_locations or ()]
    files = [file for place in places for file in (place / "__init__.py", place.with_name(f"{place.name}.py"))]
    if not inner and not places and found.origin:
        files = [Path(found.origin)]
    return next((file for file in files if file.suffix == ".py" and file.is_file()), None)


@functools.cache
def _developed(top: str) -> bool:
    """Whether a package or module of that name is under development."""
    if top in _installed_from_elsewhere():
        return True
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # a module without a spec, such as __main__
        return False
    origin = found and (found.origin or next(iter(found.submodule_search_locations or ()), None))
    if not origin or origin in ("built-in", "frozen"):
        return False
    return not any(Path(origin).is_relative_to(folder) for folder in _of_releases())


@functools.cache
def _of_releases() -> frozenset[str]:
    """The folders of installed packages and of Python itself."""
    own = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return frozenset([*own, *site.getsitepackages(), site.getusersitepackages()])


@functools.cache
def _installed_from_elsewhere() -> frozenset[str]:
    """The packages and modules that were installed from a folder, an archive or a repository (PEP 610)."""
    others = (found for found in distributions() if found.read_text("direct_url.json"))
    return frozenset(file.parts[0].removesuffix(".py") for found in others for file in found.files or ())


@functools.lru_cache(4096)
def _imported(text: str, name: str, is_package: bool) -> tuple[str, ...]:
    """The modules that a source imports, by its text, so that a process parses it once."""
    return tuple(dict.fromkeys(_imports(text, name, is_package)))


def _imports(text: str, name: str, is_package: bool) -> Iterator[str]:
    """The modules that a source imports; some of the names are none. Imports inside of functions count too, but in a
    package's own file, whose functions serve those who ask for them."""
    try:
        waiting: list[ast.AST] = [ast.parse(text)]
    except (SyntaxError, ValueError):
        return
    package = name if is_package else name.rpartition(".")[0]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                waiting += node.orelse
            case ast.FunctionDef() if is_package:
                pass
            case ast.Import(names=names):
                for alias in names:
                    yield from _with_parents(alias.name)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module or "", level, package)
                yield from _with_parents(base)
                yield from (f"{base}.{alias.name}" for alias in names)
            case _:
                waiting += ast.iter_child_nodes(node)


def _absolute(module: str, level: int, package: str) -> str:
    if not level:
        return module
    parents = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*parents, *([module] if module else [])])


def _with_parents(name: str) -> Iterator[str]:
    """ "a.b.c" -> "a", "a.b", "a.b.c", all of which run when it is imported."""
    parts = name.split(".")
    return (".".join(parts[: i + 1]) for i in range(len(parts)))
