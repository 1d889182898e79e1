"""What the garden registers."""

from __future__ import annotations

from realism import hook
from realism.plugins.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.prompts("garden_prompts", "realism_garden.parts:GardenPrompts")
    registry.images("garden_database", "realism_garden.parts:GardenDatabase")
    registry.reward("garden_species", "realism_garden.rewards:GardenSpecies")
    registry.reward("garden_count", "realism_garden.rewards:GardenCount")
    registry.reward("garden_scene", "realism_garden.rewards:GardenScene")
    registry.reward("garden_facts", "realism_garden.rewards:GardenFacts")
    registry.reward("garden_all", "realism_garden.rewards:GardenAll")
    registry.reward("garden_beauty", "realism_garden.rewards:GardenBeauty")
    for name in ("flux", "clip", "judge", "vqa", "aesthetic", "unet", "writer"):
        registry.model(f"garden/{name}", f"realism_garden:models/{name}")
    registry.command("garden", "realism_garden.cli:app")
