"""Aesthetic and preference rewards on tiny models: formulas, gradients to the pixels, and what users get wrong."""

from __future__ import annotations

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError
from realism.manager import plugins
from realism.pixels import Preprocessing
from realism.testing.making import make_part
from realism_retrievers.openclip import OpenClip
from realism_rewards.aesthetic import Aesthetic
from safetensors.torch import load_file, save_file

IMAGES = [tiny.picture(0), tiny.picture(1, (50, 40)), tiny.picture(2, (33, 70))]
PROMPTS = [Prompt(text, text) for text in ("a red rose", "sand", "a photo of the blue daisy with a bee")]


def part(name):
    return make_part(name, examples.options(name), plugins().registry)


def pixels_of(images):
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 for image in images])


@pytest.mark.parametrize("name", ["aesthetic"])
def test_pixels_score_as_pictures_do_and_have_a_gradient(name):
    reward = part(name)
    images = [tiny.picture(i, (40, 48)) for i in range(3)]
    pixels = pixels_of(images).requires_grad_()
    values = reward.score_pixels(pixels, PROMPTS)
    assert values.detach().numpy() == pytest.approx(reward.score(images, PROMPTS).numpy(), abs=5e-3)
    values.sum().backward()
    assert torch.isfinite(pixels.grad).all() and all(grad.abs().max() > 0 for grad in pixels.grad)


def test_the_gradient_is_the_slope():
    reward = part("aesthetic")
    pixels = pixels_of([tiny.picture(3, (40, 48))]).clamp(0.1, 0.9).requires_grad_()
    reward.score_pixels(pixels, PROMPTS[:1]).sum().backward()
    step = 1e-2 * pixels.grad / pixels.grad.norm()
    with torch.no_grad():
        up, down = (float(reward.score_pixels(pixels + s, PROMPTS[:1])) for s in (step, -step))
    assert (up - down) / 2e-2 == pytest.approx(float(pixels.grad.norm()), rel=2e-2)


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("size", [(40, 57), (91, 33), (32, 32), (20, 17)])
def test_pixels_are_prepared_as_pillow_prepares_pictures(size, resize):
    prepare = Preprocessing(32, resize=resize)
    image = tiny.picture(7, size)
    apart = (prepare.of_images([image]) - prepare.of_pixels(pixels_of([image]))).abs().amax((0, 2, 3))
    assert (apart * torch.tensor(prepare.std)).max() <= 1.5 / 255


def test_aesthetic_is_linear_layers_on_the_row_without_activations():
    reward = part("aesthetic")
    weights = load_file(f"{examples.preference('aesthetic_head')}/head.safetensors")
    rows = OpenClip(model=examples.clip(), device="cpu").encode_images(IMAGES)
    wanted = []
    for row in rows:
        for layer in (0, 2, 4, 6, 7):
            row = weights[f"layers.{layer}.weight"].numpy() @ row + weights[f"layers.{layer}.bias"].numpy()
        wanted.append(row[0])
    assert reward.score(IMAGES, PROMPTS).numpy() == pytest.approx(wanted, abs=1e-5)


def test_aesthetic_refuses_the_encoder_without_quickgelu():
    head = examples.preference("aesthetic_head")
    error = Aesthetic(OpenClip(model="ViT-L-14/openai"), head=head).options_error()
    assert "use 'ViT-L-14-quickgelu/openai'" in error
    assert Aesthetic(OpenClip(model="ViT-L-14-quickgelu/openai"), head=head).options_error() is None


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("head.safetensors", "no file 'head.safetensors'"),
        ("owner/name", "write which file of the hub's model"),
        (examples.clip(), "has no head.safetensors"),
    ],
)
def test_aesthetic_says_where_no_head_is(head, sentence):
    assert sentence in Aesthetic(OpenClip(model=examples.clip()), head=head).options_error()


@pytest.mark.parametrize("harm", [lambda w: w.pop("layers.2.bias"), lambda w: w.pop("layers.7.weight")])
def test_aesthetic_says_that_a_head_is_none(tmp_path, harm):
    weights = load_file(f"{examples.preference('aesthetic_head')}/head.safetensors")
    harm(weights)
    save_file(weights, tmp_path / "head.safetensors")
    with pytest.raises(RealismError, match="end in one number"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path)).score(IMAGES, PROMPTS)


def test_aesthetic_says_that_the_head_belongs_to_another_encoder(tmp_path):
    save_file({"0.weight": torch.zeros(1, 7), "0.bias": torch.zeros(1)}, tmp_path / "head.safetensors")
    with pytest.raises(RealismError, match="takes rows of 7 numbers, but the encoder gives 32"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path)).score(IMAGES, PROMPTS)


def test_weights_that_could_run_code_are_not_read(tmp_path):
    torch.save({"layers.0.weight": pytest.raises}, tmp_path / "head.pth")
    with pytest.raises(RealismError, match="could run code"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path / "head.pth")).score(IMAGES, PROMPTS)
