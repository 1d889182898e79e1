"""Whose fault an error is, in words: the part as the recipe calls it, its plugin, and what it was at work on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import CO_VARARGS
from pathlib import Path
from types import FrameType
from typing import Any

from realism.base.errors import RealismError
from realism.base.machine import machine_error
from realism.base.signals import Stopped
from realism.data.types import Picture, Prompt, Request
from realism.parts import Chat, Part, Step
from realism.parts.base import noun_of
from realism.parts.returned import BrokenContract
from realism.plugins.registry import Registry, describe_error

SHOWN = 3
"""Prompts that are named."""
LONGEST = 600
"""Characters of what an error says."""
OURS = "realism"
"""The distribution whose faults are to be reported to us."""
NOUNS = {Picture: "picture", Request: "request", Prompt: "prompt", Chat: "chat", str: "text"}


class PartFault(RealismError):
    """What a part, or other code of a plugin, raised or returned that it should not."""

    exit_code = 1


@contextmanager
def faults_reported(registry: Registry, folder: Path | None = None) -> Iterator[None]:
    """What goes wrong in the block by the fault of a part, a plugin or the machine becomes a RealismError that says so.
    A KeyboardInterrupt goes through, whatever was made of it on the way, and so does a sentence for the user.

    folder: that of the run, if there is one."""
    try:
        yield
    except BaseException as error:
        if stop := _stop(error):
            raise stop from None
        if folder and (told := machine_error(error, folder)):
            raise told from error
        if isinstance(error, RealismError) and not isinstance(error, BrokenContract):
            raise
        if fault := fault_of(error, registry):
            raise fault from error
        raise


def fault_of(error: BaseException, registry: Registry) -> PartFault | None:
    """The sentence for an error, by the frames it went through; None if neither a part nor a plugin was at work."""
    frames = list(_frames(error))
    plugin, part = _culprit(frames, registry)
    if isinstance(error, BrokenContract):
        plugin, part = _plugin_of(error.part, registry), error.part
    if part is None and not plugin:
        ends = not isinstance(error, Exception)
        return PartFault(f"{describe_error(error)}; --debug shows the line") if ends else None
    ours = _is_ours(plugin, registry)
    on = " ".join(filter(None, [_items(frames, part), *getattr(error, "__notes__", ()), _step(frames, part)]))
    broken = isinstance(error, BrokenContract)
    did = "breaks its contract" if broken else f"failed {on}".strip()
    reason = error.problem if isinstance(error, BrokenContract) else describe_error(error)[:LONGEST]
    unexpected = "unexpected " if ours and not broken and isinstance(error, Exception) else ""
    end = "for a report of it" if ours else "which is the plugin's" if plugin else "which is that of the part"
    return PartFault(f"{_who(part, plugin, registry)} {did}: {unexpected}{reason}; --debug shows the line, {end}")


def _stop(error: BaseException | None) -> KeyboardInterrupt | None:
    """The user's stop that an error is, or was made of: Lightning, for one, makes an exit of it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and not isinstance(error, KeyboardInterrupt | Stopped):
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return error if isinstance(error, KeyboardInterrupt) else None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames it went through, the innermost last."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _subject(frame: FrameType) -> Part | None:
    """The part whose method a frame is, or that a function is first given."""
    first = next(iter(_given(frame)), None)
    return first if isinstance(first, Part) else None


def _given(frame: FrameType) -> Sequence[Any]:
    """The values of a function's arguments by position."""
    code, values = frame.f_code, frame.f_locals
    count = code.co_argcount
    others = code.co_varnames[count + code.co_kwonlyargcount] if code.co_flags & CO_VARARGS else ""
    return [*(values.get(name) for name in code.co_varnames[:count]), *values.get(others, ())]


def _culprit(frames: Sequence[FrameType], registry: Registry) -> tuple[str, Part | None]:
    """The plugin whose code failed ("" if it is none's), and its part: the innermost that was at work."""
    strange = ""  # the innermost code of another distribution, such as a module that a trainer has made
    for frame in reversed(frames):
        plugin = _plugin_at(str(frame.f_globals.get("__name__", "")), registry)
        strange = strange or ("" if _is_ours(plugin, registry) else plugin)
        if (part := _subject(frame)) is not None:
            plugin = _plugin_of(part, registry)
            return (strange, None) if strange and strange != plugin else (plugin, part)
    return strange, None


def _plugin_of(part: Part, registry: Registry) -> str:
    return _plugin_at(type(part).__module__, registry)


def _plugin_at(module: str, registry: Registry) -> str:
    """The plugin that a module belongs to: the one that registered something there, or beside it in its package."""
    found = ""
    for entry in registry.entries():
        place = entry.target.partition(":")[0]
        if place == module:
            return entry.plugin
        if place.split(".")[0] == module.split(".")[0]:
            found = found or entry.plugin
    return found


def _is_ours(plugin: str, registry: Registry) -> bool:
    return registry.distributions.get(plugin, "").split(" ")[0] == OURS


def _who(part: Part | None, plugin: str, registry: Registry) -> str:
    """The part, its plugin and its distribution: "reward 'sharp' of plugin 'sharpness' (realism-sharpness 0.3)"."""
    source = registry.distributions.get(plugin, "")
    of = f"plugin '{plugin}'" + (f" ({source})" if source else "")
    if part is None:
        return of
    name = _title(part) if isinstance(part, Step) else part.part_name
    kind = f"{type(part).__module__}:{type(part).__qualname__}"
    whose = of if plugin else f"no plugin, {kind},"
    return f"{noun_of(part.family)} '{name or type(part).__name__}' of {whose}"


def _title(step: Step) -> str:
    try:
        return step.title()
    except Exception:  # a stranger's code, which may be what failed
        return step.part_name


def _items(frames: Sequence[FrameType], part: Part | None) -> str:
    """What a part was given, in words: "on 8 pictures (prompts a, b, c, ...)"; "" if that is not known."""
    own = [frame for frame in frames if part is not None and _subject(frame) is part]
    return next((told for frame in own for given in _given(frame)[1:] if (told := _told(given))), "")


def _told(given: Any) -> str:
    if not isinstance(given, list | tuple) or not given:
        return ""
    noun = "image" if type(given[0]).__module__.startswith("PIL.") else NOUNS.get(type(given[0]), "")
    if not noun:
        return ""
    prompts = [one if isinstance(one, Prompt) else one.prompt for one in given] if hasattr(given[0], "prompt") else ()
    ids = list(dict.fromkeys(prompt.id for prompt in prompts))
    more = ", ..." if len(ids) > SHOWN else ""
    named = f" (prompt{'s' * (len(ids) > 1)} {', '.join(itertools.islice(ids, SHOWN))}{more})" if ids else ""
    return f"on {len(given)} {noun}{'s' * (len(given) != 1)}{named}"


def _step(frames: Sequence[FrameType], part: Part | None) -> str:
    step = next((found for found in map(_subject, frames) if isinstance(found, Step) and found is not part), None)
    return f"in step '{_title(step)}'" if step else ""
