"""What every generator must do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from realism.data.types import Request, Unmade
from realism.parts import Generator
from realism.parts.returned import pictures_error
from realism.testing.material import picture, prompts
from realism.testing.part import PartSuite, farthest


class GeneratorSuite(PartSuite):
    """The contract of `realism.Generator`."""

    def test_it_makes_one_rgb_picture_a_request(self, part: Generator) -> None:
        made = part.generate(_requests(part))
        assert (error := pictures_error(made, 4)) is None, error

    def test_no_request_gives_no_picture(self, part: Generator) -> None:
        assert list(part.generate([])) == [], "an empty list of requests should give an empty list of pictures"

    def test_the_same_request_gives_the_same_picture_in_any_batch(self, part: Generator) -> None:
        requests = _requests(part)
        together = part.generate(requests)
        turned = part.generate(requests[::-1])[::-1]
        alone = [part.generate([request])[0] for request in requests]
        for i, image in enumerate(together):
            for other in (turned[i], alone[i]):
                gap = _gap(image, other)
                assert gap <= 1, f"request {i} gives another picture in another batch: it differs by {gap:.0f}/255"

    def test_another_seed_gives_another_picture(self, part: Generator) -> None:
        prompt = prompts()[0]
        a, b = part.generate([Request(prompt, 1), Request(prompt, 2)])
        assert _unmade(a, b) or _gap(a, b) > 0, "two seeds gave the same picture, so the seed is not used"

    def test_a_reference_changes_the_picture_if_it_takes_any(self, part: Generator) -> None:
        prompt = prompts()[0]
        without, with_one = part.generate([Request(prompt, 1), Request(prompt, 1, (picture(7),))])
        gap = _gap(without, with_one)
        if part.max_references:
            changed = gap > 0 or _unmade(without, with_one)
            assert changed, f"max_references is {part.max_references}, but a reference changes nothing"
        else:
            assert gap <= 1, "max_references is 0, but a reference changes the picture"

    def test_references_beyond_the_most_it_takes_are_cut_off(self, part: Generator) -> None:
        references = tuple(picture(i, (40, 50)) for i in range(part.max_references + 1))
        prompt = prompts()[0]
        enough, more = part.generate(
            [Request(prompt, 1, references[: part.max_references]), Request(prompt, 1, references)]
        )
        assert _gap(enough, more) <= 1, f"a reference beyond max_references={part.max_references} was used"


def _gap(a: Any, b: Any) -> float:
    """The greatest difference of two pictures; of one that was not made none to its like, else infinite."""
    return farthest(a, b) if not isinstance(a, Unmade) and not isinstance(b, Unmade) else 0.0 if a == b else math.inf


def _unmade(a: Any, b: Any) -> bool:
    """Whether there are no two pictures to compare."""
    return isinstance(a, Unmade) and isinstance(b, Unmade)


def _requests(part: Generator) -> Sequence[Request]:
    """Four requests; every other has a reference, if the generator takes any."""
    requests = []
    for i, prompt in enumerate(prompts()):
        references = (picture(i, (50, 40)),) if part.max_references and i % 2 else ()
        requests.append(Request(prompt, 2**40 + i, references))
    return requests
