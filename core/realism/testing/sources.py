"""What every source of prompts or images must do."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from realism.base.images import open_image_file
from realism.data.types import Prompt
from realism.data.writable import record_problem
from realism.parts import Images, Prompts
from realism.testing.part import PartSuite

MANY = 10_000
"""Of a long source, this many are looked at."""


class PromptsSuite(PartSuite):
    """The contract of `realism.Prompts`."""

    def test_the_prompts_are_the_same_at_every_reading(self, part: Prompts) -> None:
        first, second = list(islice(part.prompts(), MANY)), list(islice(part.prompts(), MANY))
        assert first, "there is no prompt in it"
        assert first == second, "two readings give different prompts, or another order"

    def test_each_id_comes_once(self, part: Prompts) -> None:
        ids = [prompt.id for prompt in islice(part.prompts(), MANY)]
        assert not _repeated(ids), f"these ids come more than once: {_repeated(ids)}"

    def test_each_prompt_has_a_text(self, part: Prompts) -> None:
        for prompt in islice(part.prompts(), MANY):
            assert isinstance(prompt, Prompt), f"expected a Prompt, not a {type(prompt).__name__}"
            assert prompt.text.strip(), f"prompt '{prompt.id}' has no text"


class ImagesSuite(PartSuite):
    """The contract of `realism.Images`."""

    def test_the_records_are_the_same_at_every_reading(self, part: Images) -> None:
        first, second = list(islice(part.records(), MANY)), list(islice(part.records(), MANY))
        assert first, "there is no image in it"
        assert first == second, "two readings give different records, or another order"

    def test_each_id_comes_once(self, part: Images) -> None:
        ids = [record.id for record in islice(part.records(), MANY)]
        assert not _repeated(ids), f"these ids come more than once: {_repeated(ids)}"

    def test_each_record_names_a_file(self, part: Images) -> None:
        for record in islice(part.records(), MANY):
            assert (error := record_problem(record)) is None, error
            try:
                open_image_file(record.path).close()  # it may lie in a tar
            except OSError as error:
                raise AssertionError(f"no file at {record.path}") from error


def _repeated(ids: list[str]) -> list[str]:
    return [identity for identity, count in Counter(ids).items() if count > 1][:5]
