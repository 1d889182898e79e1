"""A plugin that skips every picture of grey."""

from realism import hook


@hook
def realism_images_made(prompts):
    return ["it is grey" if prompt.subject == "grey" else None for prompt in prompts]
