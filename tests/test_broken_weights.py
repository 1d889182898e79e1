"""Weights that are not whole or not finite are refused by every part that loads some, and the sentence says which."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import examples
import pytest
import torch
from realism import RealismError
from realism.base.loading import check_finite, read_tensors
from realism_generators.amused import Amused
from realism_generators.chat import TransformersChat
from realism_generators.emu3 import Emu3
from realism_generators.flux import Flux, FluxRedux
from realism_generators.image_to_image import UnCLIP
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL
from realism_realrag.projected import Projected
from realism_retrievers.openclip import OpenClip
from realism_rewards.aesthetic import Aesthetic
from realism_rewards.hps import HpsV2
from realism_rewards.hpsv3 import HpsV3
from realism_rewards.imagereward import ImageReward
from realism_rewards.pickscore import PickScore
from realism_rewards.vqa import Vqa
from safetensors.torch import load_file, save_file


def pipeline(kind):
    return lambda folder: kind(model=folder, device="cpu", dtype="float32").pipeline


PIPELINES = {
    "flux": (examples.flux, pipeline(Flux)),
    "sd": (lambda: examples.pipeline("stable_diffusion"), pipeline(StableDiffusion)),
    "sdxl": (lambda: examples.pipeline("stable_diffusion_xl"), pipeline(StableDiffusionXL)),
    "sd3": (lambda: examples.pipeline("stable_diffusion_3"), pipeline(StableDiffusion3)),
    "unclip": (lambda: examples.pipeline("unclip"), pipeline(UnCLIP)),
    "amused": (examples.amused, pipeline(Amused)),
    "redux": (
        lambda: examples.pipeline("redux"),
        lambda f: FluxRedux(model=examples.pipeline("flux"), redux=f, device="cpu", dtype="float32").prior_pipeline,
    ),
}


def of_folder(kind, *names, **options):
    return lambda folder: kind(**dict.fromkeys(names, folder), **options, device="cpu")._loaded


OTHERS = {
    "openclip": (examples.clip, of_folder(OpenClip, "model")),
    "chat": (examples.chat, lambda f: TransformersChat(f, device="cpu").loaded),
    "llava": (examples.llava, lambda f: TransformersChat(f, device="cpu").loaded),
    "vqa": (lambda: examples.asked("blip"), lambda f: Vqa(f, embedder="none", device="cpu").answerer),
    "emu3": (lambda: examples.pipeline("emu3"), pipeline(Emu3)),
    "pickscore": (lambda: examples.preference("pickscore_folder"), of_folder(PickScore, "model", "processor")),
    "hpsv2": (lambda: examples.preference("hps_folder"), of_folder(HpsV2, "weights", "architecture")),
    "hpsv3": (
        lambda: examples.preference("hpsv3_folder"),
        lambda f: HpsV3(weights=f, base=f, instruction=f"{f}/instruction.txt", device="cpu")._loaded,
    ),
    "imagereward": (lambda: examples.preference("imagereward_folder"), of_folder(ImageReward, "weights", "tokenizer")),
    "aesthetic": (
        lambda: examples.preference("aesthetic_head"),
        lambda f: Aesthetic(OpenClip(model=examples.clip(), device="cpu"), head=f)._layers,
    ),
}


def copied(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def weights_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".pt"))
    return [path for path in found if path.stem in ("HPSv3", "ImageReward")] or found


def change(file: Path, harm) -> str:
    """Harm one tensor of a file, which `harm` does to the dictionary; returns its name."""
    saved = file.suffix == ".pt"
    weights = torch.load(file, weights_only=True) if saved else load_file(file)
    inner = weights.get("state_dict", weights)
    name = sorted(name for name, tensor in inner.items() if tensor.is_floating_point() and tensor.ndim)[-1]
    harm(inner, name)
    if saved:
        torch.save(weights, file)
    else:
        save_file(weights, file, {"format": "pt"})
    return name


def poison(value):
    def harm(weights, name):
        weights[name] = weights[name].clone()
        weights[name].view(-1)[-1] = value

    return harm


def take(weights, name):
    del weights[name]


@pytest.mark.parametrize("name", PIPELINES)
def test_each_component_of_a_pipeline_is_finite(tmp_path, name):
    make, load = PIPELINES[name]
    components = [file.parent.name for file in weights_of(Path(make()))]
    assert len(components) >= 2
    for component in components:
        folder = copied(make(), tmp_path / component)
        (file,) = weights_of(folder / component)
        tensor = change(file, poison(float("nan")))
        with pytest.raises(RealismError, match="numbers that are not finite in") as caught:
            load(str(folder))
        assert f"component '{component}' of model '{folder}'" in str(caught.value)
        assert tensor.split(".")[-1] in str(caught.value)


@pytest.mark.parametrize("name", PIPELINES)
def test_each_component_of_a_pipeline_is_whole(tmp_path, name):
    make, load = PIPELINES[name]
    for component in [file.parent.name for file in weights_of(Path(make()))]:
        folder = copied(make(), tmp_path / component)
        (file,) = weights_of(folder / component)
        change(file, take)
        with pytest.raises(RealismError, match=r"lacks [12] of its weights, such as") as caught:
            load(str(folder))
        assert f"component '{component}' of model '{folder}'" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_model_is_finite(tmp_path, name, value):
    make, load = OTHERS[name]
    folder = copied(make(), tmp_path)
    change(weights_of(folder)[0], poison(value))
    with pytest.raises(RealismError, match=r"not finite in .*; it is damaged: download it again"):
        load(str(folder))


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_model_is_whole(tmp_path, name):
    make, load = OTHERS[name]
    folder = copied(make(), tmp_path)
    change(weights_of(folder)[0], take)
    with pytest.raises(RealismError):
        load(str(folder))


@pytest.mark.parametrize(("harm", "says"), [(poison(float("nan")), "not finite"), (take, "does not fit|lacks")])
def test_an_adapter_of_references_and_its_encoder_are_whole_and_finite(tmp_path, harm, says):
    options = examples.adapter("stable_diffusion")
    for key, file in (("adapter", options["adapter_weights"]), ("image_encoder", "model.safetensors")):
        folder = copied(options[key], tmp_path / key)
        change(folder / file, harm)
        given = options | {key: str(folder)}
        part = StableDiffusion(model=examples.pipeline("stable_diffusion"), **given, device="cpu")
        with pytest.raises(RealismError, match=says):
            _ = part.pipeline


@pytest.mark.parametrize("kind", ["stable_diffusion", "flux", "amused"])
@pytest.mark.parametrize(("harm", "says"), [(poison(float("nan")), "not finite"), (take, "does not fit the")])
def test_what_a_generator_has_learnt_is_whole_and_finite(tmp_path, kind, harm, says):
    parts = {"stable_diffusion": StableDiffusion, "flux": Flux, "amused": Amused}
    model = examples.amused() if kind == "amused" else examples.pipeline(kind)

    def part():
        made = parts[kind](model=model, device="cpu", dtype="float32")
        made.part_name = "painter"
        return made

    learner = part()
    learner.save_adapter(learner.training_pipeline(), tmp_path)
    good = part()
    good.use_weights(tmp_path)
    assert good.pipeline
    tensor = change(tmp_path / "pytorch_lora_weights.safetensors", harm)
    broken = part()
    broken.use_weights(tmp_path)
    with pytest.raises(RealismError, match=says) as caught:
        _ = broken.pipeline
    assert tensor.split(".")[-2] in str(caught.value)


def test_a_projection_that_was_learnt_is_finite(tmp_path):
    part = Projected(OpenClip(model=examples.clip(), device="cpu"), width=8)
    weights = part.mlp().state_dict()
    save_file(weights | {"outer.bias": torch.full((32,), float("inf"))}, tmp_path / "projection.safetensors")
    part.use_weights(tmp_path)
    with pytest.raises(RealismError, match=r"projection.safetensors' has numbers that are not finite in outer.bias"):
        part.mlp()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn])
def test_large_numbers_are_finite_in_any_arithmetic(dtype):
    most = torch.finfo(dtype).max
    check_finite(
        {"w": torch.tensor([most] * 64, dtype=torch.float64).to(dtype), "n": torch.arange(3), "none": torch.empty(0)},
        "it",
    )
    with pytest.raises(RealismError, match="it has numbers that are not finite in w"):
        check_finite({"w": torch.tensor([1.0, float("nan")]).to(dtype)}, "it")


def test_a_component_whose_configuration_is_of_another_size_is_refused(tmp_path):
    folder = copied(examples.flux(), tmp_path)
    config = folder / "text_encoder_2" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 2}))
    with pytest.raises(RealismError, match=r"component 'text_encoder_2' of .* lacks [0-9]+ of its weights"):
        pipeline(Flux)(str(folder))


def test_weights_as_they_were_saved_are_read(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors")["a"].tolist() == [1, 1]
