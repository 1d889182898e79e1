"""What this family registers."""

from __future__ import annotations

from realism import hook
from realism.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.generator("flux", "realism_generators.flux:Flux")
    registry.generator("flux-kontext", "realism_generators.flux:FluxKontext")
