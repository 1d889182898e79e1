"""Fingerprints of parts and steps: of all that decides what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from realism.base.files import digest, fingerprint_listing, fingerprint_path
from realism.data.artifacts import Artifact
from realism.data.state import Location
from realism.parts import ImageEncoder, Images, Part, Retriever
from realism.parts.step import trained_weights
from realism.runs.code import code_of


def describe(value: Any, versions: Mapping[str, str], contents: bool = True) -> Any:
    """A JSON-like value of a part and all that decides what it does: its class and the version it comes
    in (by `module:Class`), its source if that is under development, its options, the parts it uses and the contents of
    its input files; without contents, neither that source nor these. Options that decide its speed only are left out.
    """
    if isinstance(value, Part):
        hash_path = fingerprint_listing if isinstance(value, Images) else fingerprint_path
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        decisive = [f.name for f in fields(value) if f.init and f.name not in value.speed_options]  # type: ignore[arg-type]
        return {
            "part": name,
            "version": versions.get(name, ""),
            "code": code_of(type(value).__module__) if contents else "",
            "name": value.part_name,  # artifacts and tables are called by it
            "options": {option: describe(getattr(value, option), versions, contents) for option in decisive},
            "inputs": [hash_path(path) for path in value.inputs()] if contents else [],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: describe(getattr(value, f.name), versions, contents) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): describe(v, versions, contents) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((describe(v, versions, contents) for v in value), key=str)
    if isinstance(value, list | tuple):
        return [describe(v, versions, contents) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def setting(seeds: Sequence[int], steps: Sequence[Part]) -> str:
    """8 hex digits that identify what a recipe does, however it says so: for its seeds and steps with all their
    options but those of speed, and not for what input files hold or which versions do it."""
    return digest([list(seeds), [describe(step, {}, contents=False) for step in steps]])[:8]


def step_fingerprint(
    step: Part,
    others: Sequence[Part],
    reads: Mapping[Artifact, str],
    seed: int | None,
    versions: Mapping[str, str],
    screens: Sequence[str] = (),
) -> str:
    """32 hex digits that identify a step: what it does, with what (others: parts that it does not hold), to what (the
    fingerprints of what it reads), with which seed if that matters, and the plugins that screen what it
    makes."""
    read = sorted((digest(artifact.as_json()), fingerprint) for artifact, fingerprint in reads.items())
    what = [describe(step, versions), describe(list(others), versions)]
    return digest({"step": what, "reads": read, "seed": seed} | ({"screens": list(screens)} if screens else {}))


def encoder_of(retriever: Retriever) -> dict[str, Any]:
    """What decides the vectors of a retriever, but for its trained weights: its class, options, and files. The index
    that searches them, and what the recipe calls it, are no part of it."""
    described = describe(retriever, {})
    options = {k: v for k, v in described["options"].items() if k != "index"}
    return {"part": described["part"], "options": options, "inputs": described["inputs"]}


def trained_by(encoder: ImageEncoder, state: Mapping[Artifact, Location]) -> dict[str, str]:
    """The fingerprints of the weights that a trainer has made for an encoder or a part of it, by the part's name."""
    return {weights.name: state[weights].fingerprint for weights in trained_weights(encoder, state)}
