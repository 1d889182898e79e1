"""CLIP-T, CLIP-I and zero-shot accuracy, with an encoder whose rows are plain to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import tiny
from PIL import Image
from realism import Prompt, Retriever
from realism.sources.image_folder import ImageFolder
from realism_rewards.clip import ClipI, ClipIReal, ClipT
from realism_rewards.zero_shot import ZeroShot, class_text
from tiny import judged

RED, GREEN, BLUE = (Image.new("RGB", (8, 8), name) for name in ("#ff0000", "#00ff00", "#0000ff"))
YELLOW = Image.new("RGB", (8, 8), "#ffff00")
HALF = 0.5**0.5


@dataclass
class ColourEncoder(Retriever):
    """A row is the mean colour, of an image or of the colour words of a text."""

    calls: int = 0

    def embed_images(self, images):
        self.calls += len(images)
        return self._rows([np.asarray(i, float).mean((0, 1)) for i in images])

    def preprocessing(self):
        return "none"

    def encode_texts(self, texts):
        return self._rows([[float(c in text) for c in ("red", "green", "blue")] for text in texts])

    def _rows(self, rows):
        array = np.array(rows).reshape(-1, 3)
        return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def prompt(text, subject=""):
    return Prompt(text, text, subject)


def test_clip_t_is_the_cosine_of_image_and_text():
    pictures = judged([RED, YELLOW, BLUE], [prompt("red"), prompt("red"), prompt("red and green")])
    values = ClipT(ColourEncoder()).score(pictures).values
    assert values.tolist() == pytest.approx([1, HALF, 0])


def test_clip_i_is_the_mean_cosine_with_the_references():
    values = (
        ClipI(ColourEncoder()).score(judged([RED] * 3, [prompt("x")] * 3, [RED], [RED, GREEN, YELLOW], [GREEN])).values
    )
    assert values.tolist() == pytest.approx([1, (1 + 0 + HALF) / 3, 0])


@pytest.fixture
def real(tmp_path):
    for i, image in enumerate([RED, YELLOW, RED]):
        (tmp_path / "warm").mkdir(exist_ok=True)
        image.save(tmp_path / "warm" / f"{i}.png")
    (tmp_path / "cold").mkdir()
    BLUE.save(tmp_path / "cold" / "0.png")
    (tmp_path / "cold" / "1.jpg").write_bytes(b"broken")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "1.jpg").write_bytes(b"broken")
    return ImageFolder(str(tmp_path))


def test_clip_i_real_is_the_mean_cosine_with_the_real_images_of_the_subject(real):
    pictures = judged([RED, RED, BLUE], [prompt("x", s) for s in ("warm", "cold", "cold")])
    values = ClipIReal(ColourEncoder(), real).score(pictures).values
    assert values.tolist() == pytest.approx([(1 + HALF + 1) / 3, 0, 1])


def test_clip_i_real_has_no_value_for_a_subject_without_images_that_can_be_read(real):
    pictures = judged([RED] * 3, [prompt("x", s) for s in ("unknown", "none", "")])
    values = ClipIReal(ColourEncoder(), real).score(pictures).values
    assert np.isnan(values).all()


def test_the_real_images_are_read_once(real):
    encoder = ColourEncoder()
    reward = ClipIReal(encoder, real)
    reward.score(judged([RED], [prompt("x", "warm")]))
    before = encoder.calls
    reward.score(judged([RED, RED], [prompt("x", "warm")] * 2))
    assert encoder.calls == before + 2


def test_a_picture_is_most_like_itself():
    images = [tiny.picture(i) for i in range(5)]
    values = ClipI(ColourEncoder()).score(judged(images, [prompt("x")] * 5, *([i] for i in images))).values
    assert values.tolist() == pytest.approx([1] * 5, abs=1e-6)


def answers(prompts, images, **options):
    options = {"classes": ["red", "green", "blue"], **options}
    return ZeroShot(ColourEncoder(), **options).score(judged(images, prompts)).values.tolist()


def test_zero_shot_is_right_when_the_subject_is_the_nearest_class():
    assert answers([prompt("x", s) for s in ("red", "red", "blue")], [RED, BLUE, BLUE]) == [1, 0, 1]


def test_zero_shot_takes_its_classes_from_images(tmp_path):
    for name in ("red", "blue"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        YELLOW.save(tmp_path / "classes" / name / "1.png")
    classes = ImageFolder(str(tmp_path / "classes"))
    assert answers([prompt("x", s) for s in ("red", "blue", "green")], [RED] * 3, classes=classes)[:2] == [1, 0]


def test_zero_shot_has_no_answer_for_a_subject_that_is_no_class():
    right, *none = answers([prompt("x", s) for s in ("red", "", "yellow")], [RED] * 3)
    assert right == 1 and np.isnan(none).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rose", "a photo of a rose, a flower"),
        ("iris", "a photo of an iris, a flower"),
        ("water_lily", "a photo of a water lily, a flower"),
        ("unicorn-root", "a photo of a unicorn-root, a flower"),
        ("Mercedes-Benz_E-Class", "a photo of a Mercedes-Benz E-Class, a flower"),
    ],
)
def test_zero_shot_texts_have_the_article_that_the_name_wants(name, text):
    assert class_text("a photo of a {subject}, a flower", name) == text


def test_zero_shot_needs_a_template_with_the_subject_and_two_classes():
    assert "has no '{subject}'" in ZeroShot(ColourEncoder(), ["a", "b"], template="a photo").options_error()
    assert "two names or more" in ZeroShot(ColourEncoder(), ["a", "a"]).options_error()
