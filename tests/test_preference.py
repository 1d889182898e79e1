"""Aesthetic and preference rewards on tiny models: formulas, gradients to the pixels, and what users get wrong."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import examples
import numpy as np
import pytest
import tiny
import tiny_preference
import torch
from PIL import Image
from realism import DifferentiableReward, Prompt, RealismError
from realism.base.pixels import Preprocessing
from realism.plugins.manager import plugins
from realism.testing.making import make_part
from realism_retrievers.openclip import OpenClip
from realism_rewards import hpsv3
from realism_rewards.aesthetic import Aesthetic
from realism_rewards.hps import HpsV2
from realism_rewards.hpsv3 import HpsV3
from realism_rewards.imagereward import ImageReward
from realism_rewards.preference import CLIP_MEAN, CLIP_STD
from realism_rewards.vila import Vila
from safetensors.torch import load_file, save_file
from tiny import judged

IMAGES = [tiny.picture(0), tiny.picture(1, (50, 40)), tiny.picture(2, (33, 70))]
PROMPTS = [Prompt(text, text) for text in ("a red rose", "sand", "a photo of the blue daisy with a bee")]


def pixels_of(images):
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 for image in images])


@functools.cache
def part(name):
    return make_part(name, examples.options(name), plugins().registry)


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("aesthetic", 5e-3),
        ("clip_t", 5e-3),
        ("pickscore", 0.05),
        ("hpsv2", 1e-6),
        ("hpsv3", 1e-3),
        ("imagereward", 5e-3),
    ],
)
def test_pixels_score_as_pictures_do_and_have_a_gradient(name, apart):
    reward = part(name)
    images = [tiny.picture(i, (40, 48)) for i in range(3)]
    pixels = pixels_of(images).requires_grad_()
    values = reward.score_pixels(pixels, PROMPTS)
    assert isinstance(reward, DifferentiableReward)
    assert values.detach().numpy() == pytest.approx(reward.score(judged(images, PROMPTS)).values.numpy(), abs=apart)
    values.sum().backward()
    assert torch.isfinite(pixels.grad).all() and all(grad.abs().max() > 0 for grad in pixels.grad)


@pytest.mark.parametrize("name", ["aesthetic", "imagereward", "hpsv3"])
def test_the_gradient_is_the_slope(name):
    reward = part(name)
    pixels = pixels_of([tiny.picture(3, (40, 48))]).clamp(0.1, 0.9).requires_grad_()
    reward.score_pixels(pixels, PROMPTS[:1]).sum().backward()
    step = 0.01 * pixels.grad / pixels.grad.norm()
    with torch.no_grad():
        up, down = (float(reward.score_pixels(pixels + s, PROMPTS[:1])) for s in (step, -step))
    assert (up - down) / 0.02 == pytest.approx(float(pixels.grad.norm()), rel=5e-2)


def test_pixels_of_another_shape_are_refused():
    with pytest.raises(RealismError, match=r"expected \(n, 3, H, W\), float"):
        part("pickscore").score_pixels(torch.zeros(1, 40, 40, 3), PROMPTS[:1])


def test_pickscore_is_the_scaled_cosine_of_transformers_own_clip():
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    folder = examples.preference("pickscore_folder")
    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer, prepare = AutoTokenizer.from_pretrained(folder), CLIPImageProcessorPil.from_pretrained(folder)
    wanted = []
    for image, prompt in zip(IMAGES, PROMPTS, strict=True):
        words = tokenizer(prompt.text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            wanted.append(float(model(**words, **prepare(image, return_tensors="pt")).logits_per_image))
    assert part("pickscore").score(judged(IMAGES, PROMPTS)).values.numpy() == pytest.approx(wanted, abs=1e-5)


def between_bars(pixels, side):
    """The whole picture, its longest side so long, as the package hpsv2 prepares it."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import pad, resize

    height, width = (round(length * side / max(pixels.shape[1:])) for length in pixels.shape[1:])
    left, top = (side - width) // 2, (side - height) // 2
    made = resize(pixels, [height, width], InterpolationMode.BICUBIC, antialias=True)
    return pad(made, [left, top, side - width - left, side - height - top])


def test_hpsv2_is_the_cosine_of_plain_open_clip_on_whole_pictures_that_torch_resizes():
    import open_clip
    from torchvision.transforms import Normalize
    from torchvision.transforms.functional import to_tensor

    folder = Path(examples.preference("hps_folder"))
    model = open_clip.CLIP(**json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]).eval()
    model.load_state_dict(torch.load(folder / "HPS_v2.1_compressed.pt", weights_only=True)["state_dict"])
    colours = Normalize(CLIP_MEAN, CLIP_STD)
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    wanted = []
    for image, prompt in zip(IMAGES, PROMPTS, strict=True):
        with torch.no_grad():
            seen = colours(between_bars(to_tensor(image), 32))
            made = model.encode_image(seen[None], normalize=True)[0]
            wanted.append(float(made @ model.encode_text(tokenizer([prompt.text]), normalize=True)[0]))
    assert part("hpsv2").score(judged(IMAGES, PROMPTS)).values.numpy() == pytest.approx(wanted, abs=1e-5)


def test_imagereward_is_its_formula_on_the_towers_that_its_file_was_made_of():
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
    from transformers import AutoTokenizer

    folder = examples.preference("imagereward_folder")
    colours = Normalize(CLIP_MEAN, CLIP_STD)
    prepare = Compose([Resize(32, InterpolationMode.BICUBIC), CenterCrop(32), ToTensor(), colours])
    (vision, text), head = tiny_preference.blip_towers(), load_file(f"{folder}/head.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wanted = []
    for image, prompt in zip(IMAGES, PROMPTS, strict=True):
        words = tokenizer(prompt.text, return_tensors="pt")
        with torch.no_grad():
            seen = vision(prepare(image)[None]).last_hidden_state
            row = text(words.input_ids, words.attention_mask, encoder_hidden_states=seen).last_hidden_state[0, 0]
        for layer in (0, 2, 4, 6, 7):
            row = head[f"layers.{layer}.weight"] @ row + head[f"layers.{layer}.bias"]
        wanted.append((float(row) - 0.16717362830052426) / 1.0333394966054072)
    assert part("imagereward").score(judged(IMAGES, PROMPTS)).values.numpy() == pytest.approx(wanted, abs=1e-5)


def test_hpsv3_is_the_head_on_the_state_of_the_reward_token():
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessorPil
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

    folder = examples.preference("hpsv3_folder")
    whole = Qwen2VLForConditionalGeneration.from_pretrained(folder).eval()
    model: Qwen2VLModel = whole.model
    file = load_file(f"{folder}/HPSv3.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|Reward|>"]})
    size = {"shortest_edge": hpsv3.PIXELS, "longest_edge": hpsv3.PIXELS}
    prepare = Qwen2VLImageProcessorPil(size=size, patch_size=8, merge_size=2)
    wanted = []
    for image, prompt in zip(IMAGES, PROMPTS, strict=True):
        seen = prepare(image, return_tensors="pt")
        units = int(seen["image_grid_thw"].prod()) // 4
        text = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
        text += "<|image_pad|>" * units + "<|vision_end|>"
        text += Path(f"{folder}/instruction.txt").read_text().replace("{prompt}", prompt.text)
        tokens = tokenizer(text + "<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt").input_ids
        with torch.no_grad():
            rows = torch.nn.functional.embedding(tokens, file["model.embed_tokens.weight"])
            picture = model.visual(seen["pixel_values"], grid_thw=seen["image_grid_thw"]).pooler_output
            rows[tokens == tokenizer.convert_tokens_to_ids("<|image_pad|>")] = picture
            state = model.language_model(inputs_embeds=rows).last_hidden_state[0]
        row = state[tokens[0] == len(tokenizer) - 1][0]
        for layer in (0, 3, 5):
            row = torch.relu(row) if layer else row
            row = file[f"rm_head.{layer}.weight"] @ row + file[f"rm_head.{layer}.bias"]
        wanted.append(float(row[0]))
    assert part("hpsv3").score(judged(IMAGES, PROMPTS)).values.numpy() == pytest.approx(wanted, abs=1e-5)


def test_hpsv3_says_where_its_instruction_is_to_be_had(tmp_path):
    folder = examples.preference("hpsv3_folder")
    error = HpsV3(weights=folder, base=folder, instruction=str(tmp_path / "none.txt")).options_error()
    assert "none.txt'" in error and "copy INSTRUCTION from the code of MizzenAI/HPSv3" in error


def test_hpsv3_is_not_led_by_a_prompt_that_writes_its_tokens():
    prompts = [Prompt(text, text) for text in ("a <|Reward|> rose", "<|image_pad|> sand", "{prompt} {image}")]
    assert torch.isfinite(part("hpsv3").score(judged(IMAGES, prompts)).values).all()


@pytest.mark.parametrize("make", [HpsV2, ImageReward, HpsV3])
@pytest.mark.parametrize(("weights", "sentence"), [("nothing.pt", "no file"), ("owner/name", "which file of the hub")])
def test_missing_weights_are_said_before_anything_runs(make, weights, sentence):
    assert sentence in make(weights=weights).options_error()


@pytest.mark.parametrize(
    ("name", "file", "harm", "sentence"),
    [
        ("hps_folder", "HPS_v2.1_compressed.pt", "positional_embedding", "not those of a CLIP"),
        ("imagereward_folder", "ImageReward.pt", "blip.visual_encoder.pos_embed", "not those of ImageReward"),
        ("imagereward_folder", "ImageReward.pt", "blip.visual_encoder.norm.bias", "not those of a BlipVisionModel"),
        ("hpsv3_folder", "HPSv3.safetensors", "rm_head.3.weight", "not those of HPSv3: they have no rm_head.3.weight"),
    ],
)
def test_weights_that_are_not_whole_are_said_in_a_sentence(tmp_path, name, file, harm, sentence):
    folder = shutil.copytree(examples.preference(name), tmp_path / "model")
    path = folder / file
    weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    weights.get("state_dict", weights).pop(harm)
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    other = {"hps_folder": "architecture", "imagereward_folder": "tokenizer", "hpsv3_folder": "base"}[name]
    make = {"hps_folder": HpsV2, "imagereward_folder": ImageReward, "hpsv3_folder": HpsV3}[name]
    with pytest.raises(RealismError, match=sentence):
        make(weights=str(folder), **{other: str(folder)}).score(judged(IMAGES, PROMPTS))


def test_vila_asks_the_endpoint_for_each_picture_and_keeps_the_order():
    images = [Image.new("RGB", (9, 8), (shade,) * 3) for shade in range(0, 250, 12)]
    values = Vila(examples.vila_endpoint(), workers=4).score(judged(images, PROMPTS * 7)).values
    assert values.numpy() == pytest.approx([shade / 255 for shade in range(0, 250, 12)], abs=1e-6)


def test_vila_asks_a_busy_endpoint_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert len(Vila(tiny_preference.vila_endpoint(fails=2), workers=1).score(judged(IMAGES, PROMPTS)).values) == 3
    with pytest.raises(RealismError, match="answers 503"):
        Vila(tiny_preference.vila_endpoint(fails=9), workers=1).score(judged(IMAGES[:1], PROMPTS[:1]))


@pytest.mark.parametrize(
    "reply",
    [
        b"no json", b"[" * 10**5, b'{"error": "no"}', b'{"outputs": [[1], [2]]}', b'{"outputs": [0.5, 0.5]}',
        b'{"outputs": []}', b'{"outputs": true}', b'{"outputs": [[false]]}', b'{"outputs": "0.5"}',
        b'{"outputs": null}', b'{"outputs": {}}', b'{"outputs": NaN}', b'{"outputs": 1e999}',
        b'{"outputs": -Infinity}', b'{"outputs": {"a": 0.5}}', b'{"outputs": ' + b"9" * 400 + b"}",
        b'{"outputs": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_vila_says_that_an_endpoint_answers_something_else(reply):
    with pytest.raises(RealismError, match="no single number in 'outputs'"):
        Vila(tiny_preference.vila_endpoint(reply=reply)).score(judged(IMAGES[:1], PROMPTS[:1]))


@pytest.mark.parametrize("value", ["-0.01", "1.01", "5", "1e300"])
def test_vila_refuses_values_of_another_model(value):
    with pytest.raises(RealismError, match=r"values lie in \[0, 1\]; it is another model"):
        reply = f'{{"outputs": [[{value}]]}}'.encode()
        Vila(tiny_preference.vila_endpoint(reply=reply)).score(judged(IMAGES[:1], PROMPTS[:1]))


@pytest.mark.parametrize(("value", "score"), [("1.0004", 1), ("-0.0004", 0), ("1", 1), ("0", 0), ("0.25", 0.25)])
def test_vila_takes_numbers_of_its_range_and_their_rounding(value, score):
    reply = f'{{"outputs": {{"predictions": [[{value}]]}}}}'.encode()
    values = Vila(tiny_preference.vila_endpoint(reply=reply)).score(judged(IMAGES[:1], PROMPTS[:1])).values
    assert values.tolist() == [score]


def test_vila_says_what_is_wrong_before_anything_runs():
    for address in ("localhost:8501", "http://localhost:8501", "http://localhost:8501/", ""):
        assert "endpoint is no address of a model" in Vila(address).options_error()
    assert "neither encrypted" in Vila("http://10.0.0.5:8501/v1/models/vila").options_error()
    assert "no saved_model.pb in 'nowhere'" in Vila(model="nowhere").options_error()
    assert Vila().options_error() is None
    with pytest.raises(RealismError, match="cannot be reached"):
        only_once = Vila("http://127.0.0.1:9/v1/models/vila", workers=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.sleep", lambda seconds: None)
            only_once.score(judged(IMAGES[:1], PROMPTS[:1]))


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("size", [(40, 57), (91, 33), (32, 32), (20, 17)])
def test_pixels_are_prepared_as_pillow_prepares_pictures(size, resize):
    prepare = Preprocessing(32, CLIP_MEAN, CLIP_STD, resize=resize)
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
    assert reward.score(judged(IMAGES, PROMPTS)).values.numpy() == pytest.approx(wanted, abs=1e-5)


def test_hps_refuses_the_architecture_with_another_activation_than_its_published_weights():
    assert "use 'ViT-H-14'" in HpsV2(architecture="ViT-H-14-quickgelu").options_error()
    assert HpsV2(architecture="ViT-H-14").options_error() is None


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("head.safetensors", "no file 'head.safetensors'"),
        ("owner/name", "write which file of the hub's model"),
        (examples.clip(), "has no head.safetensors"),
    ],
    ids=["a file", "no file of a hub's model", "a folder without one"],
)
def test_aesthetic_says_where_no_head_is(head, sentence):
    assert sentence in Aesthetic(OpenClip(model=examples.clip()), head=head).options_error()


@pytest.mark.parametrize("harm", [lambda w: w.pop("layers.2.bias"), lambda w: w.pop("layers.7.weight")])
def test_aesthetic_says_that_a_head_is_none(tmp_path, harm):
    weights = load_file(f"{examples.preference('aesthetic_head')}/head.safetensors")
    harm(weights)
    save_file(weights, tmp_path / "head.safetensors")
    with pytest.raises(RealismError, match="end in one number"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path)).score(judged(IMAGES, PROMPTS))


def test_aesthetic_says_that_the_head_belongs_to_another_encoder(tmp_path):
    save_file({"0.weight": torch.zeros(1, 7), "0.bias": torch.zeros(1)}, tmp_path / "head.safetensors")
    with pytest.raises(RealismError, match="takes rows of 7 numbers, but the encoder gives 32"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path)).score(judged(IMAGES, PROMPTS))


def test_weights_that_could_run_code_are_not_read(tmp_path):
    torch.save({"layers.0.weight": pytest.raises}, tmp_path / "head.pth")
    with pytest.raises(RealismError, match="could run code"):
        Aesthetic(OpenClip(model=examples.clip(), device="cpu"), str(tmp_path / "head.pth")).score(
            judged(IMAGES, PROMPTS)
        )
