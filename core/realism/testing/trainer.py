"""What every trainer must do."""

from __future__ import annotations

import tempfile
from pathlib import Path

from realism.parts import Trainer, parts_of
from realism.parts.trainer import trained_parts
from realism.testing.part import PartSuite

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


class TrainerSuite(PartSuite):
    """The contract of `realism.Trainer`."""

    def test_it_says_how_many_steps_it_takes(self, part: Trainer) -> None:
        steps = part.length(10)
        assert isinstance(steps, int) and steps > 0, f"length() should be a positive number of steps, not {steps!r}"

    def test_what_it_trains_is_one_of_its_options(self, part: Trainer) -> None:
        assert trained_parts(part), "trains names no part"
        for trained in trained_parts(part).values():
            assert any(trained is inner for inner in parts_of(part)), "trains is no part that an option holds"

    def test_each_part_that_it_trains_has_a_folder_of_its_own(self, part: Trainer) -> None:
        names = list(trained_parts(part))
        plain = names == ["."] or all(name and Path(name).name == name for name in names)
        assert plain, f"trains should name folders, not {', '.join(map(repr, names))}"

    def test_each_call_makes_a_new_module(self, part: Trainer) -> None:
        import lightning

        first, second = part.module(), part.module()
        assert isinstance(first, lightning.LightningModule), f"{type(first).__name__} is no LightningModule"
        assert first is not second, "module() gives the same module twice, so a second run would go on with the first"

    def test_what_it_learns_is_written_without_pickles(self, part: Trainer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name in trained_parts(part):
                (Path(folder) / name).mkdir(exist_ok=True)
            part.save(part.module(), Path(folder))
            for name in trained_parts(part):
                files = [p for p in (Path(folder) / name).rglob("*") if p.is_file()]
                assert files, f"save() wrote nothing for {name}" if name != "." else "save() wrote nothing"
                pickles = [p.name for p in files if p.suffix in PICKLES]
                assert not pickles, f"save() should write safetensors, not {', '.join(pickles)}"
