"""What the plugin registers."""

from __future__ import annotations

from realism import hook
from realism.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    pass
