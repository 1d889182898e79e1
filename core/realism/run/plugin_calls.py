"""Calling the life-cycle hooks of plugins: one that fails is named, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from realism.parts.work import RunInfo
from realism.plugins.manager import Plugins

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt


class PluginCalls:
    """The hooks of one run."""

    def __init__(self, plugins: Plugins, run: RunInfo):
        self._hook, self._run = plugins.hook, run

    def tell(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a life-cycle hook and return the answers."""
        answers = []
        for found in getattr(self._hook, hook).get_hookimpls():
            wanted = {name: {"run": self._run, **arguments}[name] for name in found.argnames}
            try:
                answers.append(found.function(**wanted))
            except (Exception, SystemExit) as error:
                self._run.warn(f"plugin '{found.plugin_name}' failed in {hook}: {type(error).__name__}: {error}")
        return answers

    def screen(
        self, step: str, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]
    ) -> list[str | None]:
        """What plugins say of images just made: for each the first reason to set it aside, or None."""
        reasons: list[str | None] = [None] * len(prompts)
        if not prompts or not self._hook.realism_images_made.get_hookimpls():
            return reasons
        for said in self.tell("realism_images_made", step=step, images=images(), prompts=prompts):
            if said is not None and len(said) != len(prompts):
                self._run.warn(
                    f"a plugin's realism_images_made gave {len(said)} answers for {len(prompts)} images; not used"
                )
            elif said is not None:
                reasons = [a if a is not None else b for a, b in zip(reasons, said, strict=True)]
        return reasons

    def report_scores(self, step: str, arm: str, reward: str, given: Mapping[str, float]) -> None:
        """Tell plugins what a reward has given to samples of one arm, by sample id."""
        ids, values = list(given), list(given.values())
        self.tell("realism_scores_given", step=step, arm=arm, reward=reward, ids=ids, values=values)
