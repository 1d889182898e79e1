"""What core registers, in the way any plugin does."""

from __future__ import annotations

from realism.hooks import hook
from realism.registry import Registry


@hook
def realism_register(registry: Registry) -> None:
    registry.prompts("prompt_file", "realism.sources.prompt_file:PromptFile")
    registry.prompts("classes", "realism.sources.class_prompts:ClassPrompts")
    registry.images("image_folder", "realism.sources.image_folder:ImageFolder")
    for verb in ("index", "retrieve", "generate", "score", "select", "train", "evaluate", "report"):
        registry.step(verb, f"realism.steps.{verb}:{verb.capitalize()}")
