"""What every part whose weights can be trained must do."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from realism.data.types import Picture, Request, Unmade
from realism.parts import Chat, Generator, LanguageModel, Part, Retriever, Reward, Trainer, Tunable
from realism.parts.scores import by_full_name
from realism.parts.trainer import trained_parts
from realism.testing.material import TEXTS, pictures, prompts
from realism.testing.part import farthest


class TunableSuite:
    """The contract of `realism.Tunable`, beside that of the part's family. A subclass has the fixture `part`, and says
    what a trainer may have saved for it."""

    def weights(self, part: Any, folder: Path) -> None:
        """Write into an empty folder what a trainer has saved for the part, which makes a difference to it."""
        raise NotImplementedError("define weights(self, part, folder), which writes what a trainer has saved")

    def result(self, part: Any) -> np.ndarray:
        """What the part makes of fixed input: the pictures, vectors, values or replies."""
        return result_of(part)

    def test_saved_weights_make_a_difference_and_none_goes_back(self, part: Any) -> None:
        with self._saved(part) as folder:
            part.use_weights(None)
            before = self.result(part)
            part.use_weights(folder)
            trained = self.result(part)
            part.use_weights(None)
            after = self.result(part)
        assert farthest(before, trained) > 0, "use_weights(folder) changes nothing, so what was learned is not used"
        assert farthest(before, after) == 0, "use_weights(None) does not go back to the weights that the part came with"

    def test_the_same_weights_give_the_same_result_again(self, part: Any) -> None:
        with self._saved(part) as folder:
            results = []
            for _ in range(2):
                part.use_weights(None)
                part.use_weights(folder)
                results.append(self.result(part))
            part.use_weights(None)
        assert farthest(*results) == 0, "the same weights, used twice, give two results"

    def test_weights_are_used_from_anywhere(self, part: Any) -> None:
        with self._saved(part) as folder, tempfile.TemporaryDirectory() as other:
            part.use_weights(folder)
            here = self.result(part)
            moved = folder.rename(Path(other) / "moved")
            part.use_weights(None)
            part.use_weights(moved)
            there = self.result(part)
            part.use_weights(None)
        assert farthest(here, there) == 0, "weights of a folder that was moved give another result"

    @contextlib.contextmanager
    def _saved(self, part: Any) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as outer:
            folder = Path(outer) / "weights"
            folder.mkdir()
            self.weights(part, folder)
            assert any(folder.iterdir()), "there are no weights in the folder"
            yield folder


class TrainedSuite(TunableSuite):
    """The same for what a trainer trains, with the trainer as the part and its module, shifted, as what was learned. Of
    several trained parts, each goes through every test."""

    def test_saved_weights_make_a_difference_and_none_goes_back(self, part: Trainer) -> None:
        for trained in self._trained_by(part):
            super().test_saved_weights_make_a_difference_and_none_goes_back(trained)

    def test_the_same_weights_give_the_same_result_again(self, part: Trainer) -> None:
        for trained in self._trained_by(part):
            super().test_the_same_weights_give_the_same_result_again(trained)

    def test_weights_are_used_from_anywhere(self, part: Trainer) -> None:
        for trained in self._trained_by(part):
            super().test_weights_are_used_from_anywhere(trained)

    def weights(self, part: Tunable, folder: Path) -> None:
        import torch

        module = self._trainer.module()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
                    parameter.add_(0.3 * noise.to(parameter))
        with tempfile.TemporaryDirectory() as saved:
            for name in trained_parts(self._trainer):
                (Path(saved) / name).mkdir(exist_ok=True)
            self._trainer.save(module, Path(saved))
            shutil.copytree(Path(saved) / self._name, folder, dirs_exist_ok=True)

    def _trained_by(self, trainer: Trainer) -> Iterator[Tunable]:
        """Each part that it trains, of which `weights` writes then."""
        self._trainer = trainer
        for self._name, trained in trained_parts(trainer).items():
            yield trained


def result_of(part: Part) -> np.ndarray:
    """What a part of a family that the suites know makes of fixed input, as numbers."""
    if isinstance(part, Generator):
        made = part.generate([Request(prompt, i) for i, prompt in enumerate(prompts())])
        return np.concatenate([[0.0] if isinstance(one, Unmade) else np.asarray(one, float).ravel() for one in made])
    if isinstance(part, Retriever):
        return np.concatenate([part.embed_images(pictures()).ravel(), part.encode_texts(TEXTS).ravel()])
    if isinstance(part, Reward):
        values = part.score(
            [Picture(image, prompt) for image, prompt in zip(pictures(), prompts(), strict=True)]
        ).values
        return np.concatenate([np.asarray(those) for those in by_full_name(part, values).values()])
    assert isinstance(part, LanguageModel), f"define result(self, part): what a {type(part).__name__} makes of input"
    letters = [ord(letter) for reply in part.reply([Chat(text) for text in TEXTS]) for letter in f"{reply}\n"]
    return np.array([len(letters), sum(n * letter for n, letter in enumerate(letters))], np.float64)
