"""Calling the life-cycle hooks of plugins: one that fails is named, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from realism.parts.work import RunInfo
from realism.plugins.manager import Plugins
from realism.plugins.registry import describe_error
from realism.runs.code import code_of

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt


class PluginCalls:
    """The hooks of one run."""

    def __init__(self, plugins: Plugins, run: RunInfo):
        self._hook, self._plugins, self._run = plugins.hook, plugins.plugins, run
        self._warned: set[str] = set()

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook of all plugins."""
        for plugin, answer in self._answers(hook, arguments):
            if answer is not None:
                self._warn(f"plugin '{plugin}' returned a {type(answer).__name__} from {hook}, which takes no answer")

    def screen(
        self, step: str, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]
    ) -> list[str | None]:
        """For each of the images just made the first plugin's reason to skip it, or None."""
        hook = "realism_images_made"
        reasons: list[str | None] = [None] * len(prompts)
        if not prompts or not getattr(self._hook, hook).get_hookimpls():
            return reasons
        for plugin, answer in self._answers(hook, {"step": step, "images": images(), "prompts": tuple(prompts)}):
            if wrong := _answer_error(answer, len(prompts)):
                self._warn(f"plugin '{plugin}' returned {wrong} from {hook}; it is not used")
            elif answer is not None:
                reasons = [a if a is not None else b for a, b in zip(reasons, answer, strict=True)]
        return reasons

    def screens(self) -> list[str]:
        """The plugins that screen images just made: their names, versions, and hashes of code under development. Files
        that they read are not known."""
        found = self._hook.realism_images_made.get_hookimpls()
        versions = {plugin.name: plugin.version for plugin in self._plugins}
        return sorted(
            f"{one.plugin_name} {versions.get(one.plugin_name, '')} {code_of(one.function.__module__)}" for one in found
        )

    def report_scores(self, step: str, arm: str, reward: str, given: Mapping[str, float]) -> None:
        """Pass plugins the values of a reward for samples of one arm, by sample id."""
        ids, values = list(given), list(given.values())
        self.notify("realism_scores_given", step=step, arm=arm, reward=reward, ids=ids, values=values)

    def _answers(self, hook: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """What each plugin returns, in pluggy's order: `tryfirst`, then the last that was loaded, then the others."""
        available = {"run": self._run, **arguments}
        for found in reversed(getattr(self._hook, hook).get_hookimpls()):
            wanted = {name: available[name] for name in (*found.argnames, *found.kwargnames) if name in available}
            try:
                answer = found.function(**wanted)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit and others too: it is a stranger's code
                self._warn(f"plugin '{found.plugin_name}' failed in {hook}: {describe_error(error)}")
            else:
                yield found.plugin_name, answer

    def _warn(self, text: str) -> None:
        """Warn once, as a hook may be called for each of many shards."""
        if text not in self._warned:
            self._warned.add(text)
            self._run.warn(text)


def _answer_error(answer: Any, n: int) -> str | None:
    """What an answer is, in words, if it is neither None nor a reason or None for each of n images; else None."""
    if answer is None:
        return None
    if not isinstance(answer, list | tuple):
        return f"a {type(answer).__name__}, not a list with a reason or None for each image,"
    if len(answer) != n:
        return f"{len(answer)} answers for {n} images"
    other = next((one for one in answer if not isinstance(one, str | None)), None)
    return f"a list with a {type(other).__name__} in it, where each is a reason or None," if other is not None else None
