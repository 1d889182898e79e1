"""What steps hand to one another: named slots that point into the run's folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from realism.files import digest, fingerprint_listing, fingerprint_path
from realism.parts import Images, Part


@dataclass(frozen=True)
class Slot:
    """A result of a step: where it lies, and the fingerprint of the step that made it."""

    path: Path
    fingerprint: str


class State(Mapping[str, Slot]):
    """The slots filled so far, in the order they were filled; see `Step` for their names."""

    def __init__(self, slots: Mapping[str, Slot] = {}):
        self._slots = dict(slots)

    def __getitem__(self, name: str) -> Slot:
        return self._slots[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def filled(self, slots: Mapping[str, Path], fingerprint: str) -> State:
        """The state after a step of that fingerprint has filled these slots."""
        return State(self._slots | {name: Slot(path, fingerprint) for name, path in slots.items()})

    def without(self, names: Collection[str]) -> State:
        """The state without these slots."""
        return State({name: slot for name, slot in self._slots.items() if name not in names})

    def path(self, name: str) -> Path:
        """Where a slot's result lies."""
        return self[name].path


def describe(value: Any, versions: Mapping[str, str]) -> Any:
    """A JSON-like value that stands for a part and all that decides what it does: its class and the version it comes
    in (by `module:Class`), its options, the parts it uses and the contents of its input files. Options that decide its
    speed only are left out."""
    if isinstance(value, Part):
        look = fingerprint_listing if isinstance(value, Images) else fingerprint_path
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        decisive = [f.name for f in fields(value) if f.init and f.name not in value.speed_options]  # type: ignore[arg-type]
        return {
            "part": name,
            "version": versions.get(name, ""),
            "name": value.part_name,  # slots and tables are called by it
            "options": {option: describe(getattr(value, option), versions) for option in decisive},
            "inputs": [look(path) for path in value.inputs()],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: describe(getattr(value, f.name), versions) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): describe(v, versions) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [describe(v, versions) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def step_fingerprint(
    step: Part, others: Sequence[Part], state: State, reads: list[str], seed: int | None, versions: Mapping[str, str]
) -> str:
    """32 hex digits that stand for a step: what it does, with what (others: parts that it does not hold), to what, and
    with which seed if that matters."""
    slots = {name: state[name].fingerprint for name in sorted(reads)}
    what = [describe(step, versions), describe(list(others), versions)]
    return digest({"step": what, "slots": slots, "seed": seed})
