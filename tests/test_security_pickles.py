"""No file of weights is unpickled, whatever its name."""

from __future__ import annotations

import pickle

import examples
import pytest
import torch
from planted import NO_WEIGHTS, Evil, copied, cpu, plant_pickle
from realism import RealismError
from realism.base.loading import read_tensors
from realism_generators.chat import TransformersChat
from realism_generators.emu3 import Emu3
from realism_generators.flux import Flux
from realism_generators.stable_diffusion import StableDiffusion
from realism_retrievers.openclip import OpenClip
from realism_rewards.aesthetic import Aesthetic
from realism_rewards.hps import HpsV2
from realism_rewards.pickscore import PickScore
from realism_rewards.vqa import Vqa

pytestmark = pytest.mark.usefixtures("ran")


PLACES = {
    "a chat model": (examples.chat, "model.safetensors", lambda f: cpu(TransformersChat, model=f).loaded),
    "a model that answers": (
        lambda: examples.asked("blip"), "model.safetensors", lambda f: cpu(Vqa, model=f, embedder="none").answerer,
    ),
    "emu3": (lambda: examples.pipeline("emu3"), "model.safetensors", lambda f: cpu(Emu3, model=f).pipeline),
    "a transformer of diffusers": (
        examples.flux, "transformer/diffusion_pytorch_model.safetensors", lambda f: cpu(Flux, model=f).pipeline,
    ),
    "a text encoder of diffusers": (
        examples.flux, "text_encoder_2/model.safetensors", lambda f: cpu(Flux, model=f).pipeline,
    ),
    "openclip": (examples.clip, "open_clip_model.safetensors", lambda f: cpu(OpenClip, model=f)._loaded),
    "a head": (
        lambda: examples.preference("aesthetic_head"), "head.safetensors",
        lambda f: Aesthetic(cpu(OpenClip, model=examples.clip()), head=f)._layers,
    ),
    "pickscore": (
        lambda: examples.preference("pickscore_folder"), "model.safetensors",
        lambda f: cpu(PickScore, model=f, processor=f)._loaded,
    ),
}  # fmt: skip


@pytest.mark.parametrize("linked", [False, True], ids=["in its place", "behind a link"])
@pytest.mark.parametrize("place", PLACES)
def test_a_pickle_with_the_name_of_safetensors_is_not_unpickled(tmp_path, ran, place, linked):
    folder, file, load = PLACES[place]
    model = copied(folder(), tmp_path)
    if linked:
        plant_pickle(tmp_path / "evil.bin", ran)
        (model / file).unlink()
        (model / file).symlink_to(tmp_path / "evil.bin")
    else:
        plant_pickle(model / file, ran)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        load(str(model))


@pytest.mark.parametrize("name", ["head.pt", "head.pth", "head.bin", "head.safetensors", "head"])
@pytest.mark.parametrize("how", ["pickle", "torch", "script"])
def test_a_file_of_weights_is_not_unpickled(tmp_path, ran, name, how):
    file = tmp_path / name
    if how == "pickle":
        file.write_bytes(pickle.dumps(Evil(ran)))
    elif how == "torch":
        plant_pickle(file, ran)
    else:
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        read_tensors(file)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = Aesthetic(cpu(OpenClip, model=examples.clip()), head=str(file))._layers


def test_weights_of_a_reward_are_not_unpickled(tmp_path, ran):
    folder = copied(examples.preference("hps_folder"), tmp_path)
    plant_pickle(next(folder.glob("HPS*")), ran)
    with pytest.raises(RealismError, match="holds more than weights"):
        _ = cpu(HpsV2, weights=str(folder), architecture=str(folder))._loaded


def test_an_adapter_of_references_is_not_unpickled(tmp_path, ran):
    options = examples.adapter("stable_diffusion")
    folder = copied(options["adapter"], tmp_path)
    plant_pickle(folder / options["adapter_weights"], ran)
    given = options | {"adapter": str(folder), "model": examples.pipeline("stable_diffusion")}
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = cpu(StableDiffusion, **given).pipeline


@pytest.mark.parametrize("beside", ["pytorch_lora_weights.bin", "adapter_model.bin"])
def test_what_was_learnt_is_not_unpickled(tmp_path, ran, beside):
    generator = cpu(StableDiffusion, model=examples.pipeline("stable_diffusion"))
    (tmp_path / "trained").mkdir()
    plant_pickle(tmp_path / "trained" / "pytorch_lora_weights.safetensors", ran)
    plant_pickle(tmp_path / "trained" / beside, ran)
    generator.use_weights(tmp_path / "trained")
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        _ = generator.pipeline


def test_a_projection_that_was_learnt_is_not_unpickled(tmp_path, ran):
    from realism_realrag.projected import Projected

    plant_pickle(tmp_path / "projection.safetensors", ran)
    part = Projected(cpu(OpenClip, model=examples.clip()), width=8)
    part.use_weights(tmp_path)
    with pytest.raises(RealismError, match=NO_WEIGHTS):
        part.mlp()
