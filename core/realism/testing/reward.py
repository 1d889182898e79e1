"""What every reward must do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from realism.data.types import Prompt
from realism.parts import DifferentiableReward, ReferenceReward, Reward
from realism.testing.material import picture, pictures, pixels, prompts
from realism.testing.part import PartSuite, check_gradient, farthest

if TYPE_CHECKING:
    import torch
    from PIL import Image


class RewardSuite(PartSuite):
    """The contract of `realism.Reward`, and of `realism.ReferenceReward`."""

    def test_it_gives_one_float32_an_image(self, part: Reward | ReferenceReward) -> None:
        import torch

        values = _score(part, pictures(), prompts())
        assert isinstance(values, torch.Tensor), f"expected a tensor, not a {type(values).__name__}"
        assert values.shape == (4,), f"4 images gave values of shape {tuple(values.shape)}, not (4,)"
        assert values.dtype == torch.float32, f"values are {values.dtype}, not float32"

    def test_values_are_within_the_range_it_states(self, part: Reward | ReferenceReward) -> None:
        import torch

        values = _score(part, pictures(), prompts())
        low, high = part.range
        given = values[~torch.isnan(values)]
        assert not torch.isinf(given).any(), "a value is infinite; where there is no answer it should be NaN"
        assert ((given >= low) & (given <= high)).all(), f"{given.tolist()} is not within {low} to {high}"

    def test_a_value_depends_on_its_own_image_and_prompt_alone(self, part: Reward | ReferenceReward) -> None:
        images, texts = pictures(), prompts()
        together = _score(part, images, texts)
        alone = [float(_score(part, [i], [p], [n])[0]) for n, (i, p) in enumerate(zip(images, texts, strict=True))]
        gap = farthest(together, alone)
        assert gap < 1e-4, f"a value changes with the images beside it, by {gap:.2g}"

    def test_no_image_gives_no_value(self, part: Reward | ReferenceReward) -> None:
        assert tuple(_score(part, [], []).shape) == (0,), "no image should give a tensor of shape (0,)"

    def test_it_explains_each_image_in_json(self, part: Reward | ReferenceReward) -> None:
        images, texts = pictures(), prompts()
        _score(part, images, texts)
        said = part.explain(images, texts)
        assert len(said) == 4, f"4 images gave {len(said)} explanations"
        assert all(isinstance(one, dict) for one in said), "an explanation should be a dict"
        json.dumps(said)  # raises if it is not JSON
        keys = {"question", "expected", "answer", "right"}
        lacking = [answer for one in said for answer in one.get("answers", ()) if not keys <= set(answer)]
        assert not lacking, f"of 'answers', each should have {', '.join(sorted(keys))}; got {lacking[0]}"

    def test_a_differentiable_one_has_a_gradient_to_the_pixels(self, part: Reward | ReferenceReward) -> None:
        if isinstance(part, DifferentiableReward):
            given = pixels()
            values = part.score_pixels(given, prompts()[:2])
            assert tuple(values.shape) == (2,), f"2 images gave values of shape {tuple(values.shape)}, not (2,)"
            values.sum().backward()
            check_gradient(given)

    def test_an_image_without_references_has_no_value(self, part: Reward | ReferenceReward) -> None:
        import torch

        if isinstance(part, ReferenceReward):
            values = part.score_against(pictures()[:2], prompts()[:2], [[], [picture(9)]])
            assert torch.isnan(values).tolist() == [True, False], f"expected NaN and a number, not {values.tolist()}"


def _score(
    part: Reward | ReferenceReward,
    images: Sequence[Image.Image],
    texts: Sequence[Prompt],
    numbers: Sequence[int] | None = None,
) -> torch.Tensor:
    """Values of the images; image `number` is judged against number + 1 references."""
    if isinstance(part, Reward):
        return part.score(images, texts)
    numbers = range(len(images)) if numbers is None else numbers
    return part.score_against(images, texts, [[picture(50 + n + j) for j in range(n + 1)] for n in numbers])
