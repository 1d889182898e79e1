"""What every reward must do."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import replace

from realism.data.types import Picture
from realism.parts import DifferentiableReward, Output, Reward, Scores
from realism.parts.scores import by_full_name, details_error, maps_error, values_error
from realism.testing.material import picture, pictures, pixels, prompts
from realism.testing.part import PartSuite, check_gradient, farthest

ANSWER = {"question", "expected", "answer", "right"}


class RewardSuite(PartSuite):
    """The contract of `realism.Reward`."""

    def test_its_values_and_maps_have_names_that_a_recipe_can_write(self, part: Reward) -> None:
        named = {"outputs": list(part.outputs), "map_names": list(part.map_names)}
        for where, names in named.items():
            wrong = [name for name in names if not _writable(name)]
            assert not wrong, f"'{where}' has {wrong[0]!r}; a name is letters, digits and _, a letter first"
            assert len(set(names)) == len(names), f"'{where}' names one twice: {', '.join(names)}"
        wrong = [name for name, output in part.outputs.items() if not isinstance(output, Output)]
        assert not wrong, f"'outputs' says of {wrong[0]!r} what is no Output"

    def test_it_gives_one_float32_a_picture_for_each_value(self, part: Reward) -> None:
        for name, values in by_full_name(part, _said(part, _given(part)).values).items():
            kind = str(values.dtype).removeprefix("torch.")
            assert kind == "float32", f"{_which(part, name)}: expected float32, not {kind}"

    def test_values_are_within_the_range_they_state(self, part: Reward) -> None:
        import torch

        for name, values in by_full_name(part, _said(part, _given(part)).values).items():
            low, high = part.meanings()[name].range
            given = values[~torch.isnan(values)]
            which = _which(part, name)
            assert not torch.isinf(given).any(), f"{which} is infinite; where there is no answer it should be NaN"
            assert ((given >= low) & (given <= high)).all(), f"{which}: {given.tolist()} is not within {low} to {high}"

    def test_what_it_says_depends_on_the_picture_alone(self, part: Reward) -> None:
        given = _given(part)
        together, alone = _said(part, given), [_said(part, [one]) for one in given]
        apart = [by_full_name(part, one.values) for one in alone]
        for name, values in by_full_name(part, together.values).items():
            gap = farthest(values, [float(one[name][0]) for one in apart])
            assert gap < 1e-4, f"{_which(part, name)} changes with the pictures beside it, by {gap:.2g}"
        for name, maps in together.maps.items():
            assert all(name in one.maps for one in alone), f"there is no map '{name}' of a picture by itself"
            gap = max(farthest(one, by_itself.maps[name][0]) for one, by_itself in zip(maps, alone, strict=True))
            assert gap < 1e-4, f"a map '{name}' changes with the pictures beside it, by {gap:.2g}"

    def test_no_picture_gives_no_value(self, part: Reward) -> None:
        _said(part, [])

    def test_details_are_json_one_a_picture_or_none(self, part: Reward) -> None:
        details = _said(part, _given(part)).details
        assert (error := details_error(details, 4)) is None, error
        lacking = [answer for one in details for answer in one.get("answers", ()) if not set(answer) >= ANSWER]
        assert not lacking, f"of 'answers', each should have {', '.join(sorted(ANSWER))}; got {lacking[0]}"

    def test_maps_are_those_it_names_one_a_picture_within_0_to_1(self, part: Reward) -> None:
        assert (error := maps_error(_said(part, _given(part)).maps, part.map_names, 4)) is None, error

    def test_it_does_not_change_the_pictures(self, part: Reward) -> None:
        given = _given(part)
        before = [[image.tobytes() for image in (one.image, *one.references)] for one in given]
        part.score(given)
        after = [[image.tobytes() for image in (one.image, *one.references)] for one in given]
        assert before == after, "a picture is another one after it was scored; work on a copy"

    def test_it_looks_at_references_if_and_only_if_it_says_so(self, part: Reward) -> None:
        given = _given(part)
        others = [replace(one, references=(picture(90 + i),)) for i, one in enumerate(given)]
        ours, theirs = (by_full_name(part, _said(part, those).values) for those in (given, others))
        gaps = [farthest(ours[name], theirs[name]) for name in ours]
        if part.uses_references:
            assert max(gaps) > 0, "other references change no value, but 'uses_references' is True"
        else:
            assert max(gaps) < 1e-4, "references change a value, but 'uses_references' is False"

    def test_a_differentiable_one_has_a_gradient_to_the_pixels(self, part: Reward) -> None:
        if isinstance(part, DifferentiableReward):
            given = pixels()
            values = part.score_pixels(given, prompts()[:2])
            assert (error := values_error(part, values, 2)) is None, f"score_pixels: {error}"
            for those in by_full_name(part, values).values():
                given.grad = None
                those.sum().backward(retain_graph=True)
                check_gradient(given)


def _given(part: Reward) -> list[Picture]:
    """Four pictures with their prompts; picture i with i + 1 references, if the reward uses them."""
    references = [tuple(picture(50 + i + j) for j in range(i + 1)) if part.uses_references else () for i in range(4)]
    return [Picture(*one) for one in zip(pictures(), prompts(), references, strict=True)]


def _said(part: Reward, given: Sequence[Picture]) -> Scores:
    """What it says of pictures, with values as they should be."""
    scores = part.score(given)
    assert isinstance(scores, Scores), f"score gave a {type(scores).__name__}, not Scores"
    assert (error := values_error(part, scores.values, len(given))) is None, error
    return scores


def _which(part: Reward, name: str) -> str:
    """A value, as a sentence begins."""
    return f"value '{name.rpartition('.')[2]}'" if part.outputs else "a value"


def _writable(name: object) -> bool:
    """Whether a recipe can write it in a condition, after the reward's own name and a dot."""
    if not isinstance(name, str) or keyword.iskeyword(name):
        return False
    return name.isidentifier() and name.isascii() and name[0].isalpha()
