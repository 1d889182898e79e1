"""How references enter each family of generators, on tiny random pipelines of the real classes."""

from __future__ import annotations

import functools
import gc
import json
import shutil
import weakref

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism.plugins.manager import plugins
from realism.testing.making import make_part
from realism_generators.flux import FluxRedux
from realism_generators.flux2 import Flux2Klein
from realism_generators.image_to_image import StableDiffusionImg2Img, UnCLIP
from realism_generators.model_generator import ModelGenerator
from realism_generators.omnigen import OmniGen
from realism_generators.references import fit_within
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL

FAST = {"dtype": "float32", "device": "cpu", "steps": 2}
ROSE, DAISY = Prompt("p", "a red rose"), Prompt("q", "blue daisy with a bee on the sand")
REGISTRY = plugins().registry
GENERATORS = [e.name for e in REGISTRY.entries("generator") if issubclass(e.load(), ModelGenerator)]
QUICK = [name for name in GENERATORS if "qwen" not in name]  # Qwen takes every reference at a million pixels
ADAPTED = {"sd": "stable_diffusion", "sdxl": "stable_diffusion_xl", "sd3": "stable_diffusion_3", "flux": "flux"}


def gap(a, b):
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


@functools.cache
def part(name):
    return make_part(name, examples.options(name), REGISTRY)


def one(generator, prompt=ROSE, *references):
    return generator.generate([Request(prompt, 7, references)])[0]


@pytest.mark.parametrize("name", QUICK)
def test_batches_that_mix_prompts_and_numbers_of_references_give_what_each_gives_alone(name):
    generator = part(name)
    most = generator.max_references
    requests = [
        Request((ROSE, DAISY)[i % 2], 2**40 + i, tuple(tiny.picture(9 * i + j, (50 + i, 40)) for j in range(count)))
        for i, count in enumerate([0, most, min(1, most), 0, most])
    ]
    alone = [generator.generate([request])[0] for request in requests]
    assert [gap(a, b) <= 1 for a, b in zip(generator.generate(requests), alone, strict=True)] == [True] * 5


@pytest.mark.parametrize("name", [n for n in QUICK if n not in ("amused", "emu3")])
def test_another_reference_gives_another_picture(name):
    a, b = (one(part(name), ROSE, tiny.picture(seed, (64, 64))) for seed in (3, 4))
    assert gap(a, b) > 0


@pytest.mark.parametrize("name", QUICK)
def test_another_prompt_gives_another_picture(name):
    assert gap(one(part(name), ROSE), one(part(name), DAISY)) > 0


@pytest.mark.parametrize("name", ["flux2", "flux2-klein", "omnigen", "emu2"])
def test_a_second_reference_counts_where_several_are_taken(name):
    first, second = tiny.picture(3, (64, 64)), tiny.picture(4, (64, 64))
    generator = part(name)
    assert generator.max_references > 1
    assert gap(one(generator, ROSE, first), one(generator, ROSE, first, second)) > 0


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "sd-img2img", "sdxl-img2img", "sd-unclip", "emu3"])
def test_a_negative_prompt_counts_the_same_in_any_batch(name):
    options = examples.options(name) | {"negative_prompt": "bee on sand"}
    generator = make_part(name, options, REGISTRY)
    together = generator.generate([Request(ROSE, 7), Request(DAISY, 8)])
    assert gap(together[0], one(generator)) <= 1
    assert gap(one(generator), one(part(name))) > 0


@pytest.mark.parametrize("name", ADAPTED)
def test_without_a_reference_an_ip_adapter_changes_nothing(name):
    plain = make_part(name, {"model": examples.pipeline(ADAPTED[name]), **FAST}, REGISTRY)
    assert plain.max_references == 0
    assert gap(one(part(name)), one(plain)) == 0
    assert gap(one(plain, ROSE, tiny.picture(3)), one(plain)) == 0


def test_the_scale_of_an_ip_adapter_says_how_much_a_reference_counts():
    options = examples.options("sd")
    far = [
        gap(one(StableDiffusion(**options, adapter_scale=s), ROSE, tiny.picture(3)), one(part("sd"))) for s in (0.01, 1)
    ]
    assert far[0] < far[1]


def test_the_picture_of_an_ip_adapter_is_the_one_that_plain_diffusers_draws():
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPVisionModelWithProjection

    given = examples.adapter("stable_diffusion")
    pipeline = StableDiffusionPipeline.from_pretrained(
        examples.pipeline("stable_diffusion"),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(given["image_encoder"]),
    )
    pipeline.load_ip_adapter(given["adapter"], subfolder="", weight_name=given["adapter_weights"])
    pipeline.set_ip_adapter_scale(0.6)
    plain = pipeline(
        prompt="a red rose", ip_adapter_image=tiny.picture(5), guidance_scale=7.5, num_inference_steps=2, width=32,
        height=32, generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    assert gap(one(part("sd"), ROSE, tiny.picture(5)), plain) <= 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"adapter": "./nowhere"}, "no model folder './nowhere'"),
        ({"adapter_weights": "ip-adaptor.safetensors"}, "did you mean 'ip-adapter.safetensors'"),
        ({"adapter_weights": "ip-adapter.bin"}, "is no .safetensors file inside the adapter; only those are read"),
        ({"adapter_weights": "../x.safetensors"}, "is no .safetensors file inside the adapter"),
        ({"image_encoder": "./nowhere"}, "no model folder './nowhere'"),
        ({"image_encoder": "siglip_encoder"}, "is of type 'siglip_vision_model'; adapters of StableDiffusionPipeline"),
        ({"image_encoder": "stable_diffusion"}, "is no model of transformers: it has no config.json that says its"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_said_before_anything_runs(options, sentence):
    if options.get("image_encoder") in ("siglip_encoder", "stable_diffusion"):
        options = {"image_encoder": examples.pipeline(options["image_encoder"])}
    assert sentence in StableDiffusion(**(examples.options("sd") | options)).options_error()


@pytest.mark.parametrize(
    ("cls", "kind", "other"),
    [
        (StableDiffusion, "stable_diffusion", "stable_diffusion_xl"),
        (StableDiffusionXL, "stable_diffusion_xl", "flux"),
        (StableDiffusion3, "stable_diffusion_3", "stable_diffusion"),
    ],
)
def test_an_adapter_of_another_family_is_said_in_a_sentence(cls, kind, other):
    encoder = examples.adapter(kind)["image_encoder"]
    options = examples.adapter(other) | {"image_encoder": encoder}
    generator = cls(model=examples.pipeline(kind), **options, **FAST)
    with pytest.raises(RealismError, match=r"does not fit the StableDiffusion.*take one made for it"):
        one(generator)


def test_an_adapter_with_weights_missing_is_said_in_a_sentence(tmp_path):
    from safetensors.torch import load_file, save_file

    given = examples.adapter("stable_diffusion_3")
    weights = load_file(f"{given['adapter']}/{given['adapter_weights']}")
    save_file({k: v for k, v in weights.items() if "layers.3" not in k}, tmp_path / given["adapter_weights"])
    options = examples.options("sd3") | {"adapter": str(tmp_path)}
    with pytest.raises(RealismError, match=r"does not fit .* it has no weights for image_proj\.layers\.3"):
        one(StableDiffusion3(**options))


def test_more_strength_leaves_less_of_the_reference():
    reference = tiny.picture(3)
    near, far = (
        one(StableDiffusionImg2Img(**examples.options("sd-img2img") | {"steps": 10}, strength=s), ROSE, reference)
        for s in (0.1, 1.0)
    )
    # the tiny autoencoder cannot draw the reference itself, so its own view of it is the measure
    view = one(
        StableDiffusionImg2Img(**examples.options("sd-img2img") | {"steps": 100}, strength=0.01), ROSE, reference
    )
    assert np.abs(np.asarray(near, int) - view).mean() < np.abs(np.asarray(far, int) - view).mean()


def test_too_few_steps_for_the_strength_is_said_before_anything_runs():
    problem = StableDiffusionImg2Img(model=examples.pipeline("stable_diffusion"), steps=4, strength=0.2).options_error()
    assert problem == "strength: 0.2 of 4 steps is less than one step; raise either"


def test_noise_on_the_embedding_of_unclip_changes_the_picture():
    noisy = UnCLIP(**examples.options("sd-unclip"), noise_level=500)
    assert gap(one(part("sd-unclip"), ROSE, tiny.picture(3)), one(noisy, ROSE, tiny.picture(3))) > 0


def test_a_redux_that_is_not_there_is_said_before_anything_runs():
    assert (
        "no model folder './nowhere'" in FluxRedux(model=examples.pipeline("flux"), redux="./nowhere").options_error()
    )
    wrong = FluxRedux(model=examples.pipeline("flux"), redux=examples.pipeline("flux"))
    assert "is a FluxPipeline; expected FluxPriorReduxPipeline" in wrong.options_error()


def test_negative_prompts_work_beside_redux():
    options = examples.options("flux-redux") | {"true_guidance": 3.0, "negative_prompt": "bee"}
    assert gap(one(FluxRedux(**options), ROSE, tiny.picture(3)), one(part("flux-redux"), ROSE, tiny.picture(3))) > 0


@pytest.mark.parametrize("size", [(8, 8), (600, 20), (20, 600), (3000, 2000)])
def test_references_of_any_size_and_proportion_are_taken(size):
    assert one(part("flux2-klein"), ROSE, tiny.picture(3, size)).size == (32, 32)
    assert one(part("omnigen"), ROSE, tiny.picture(3, size)).size == (32, 32)


def test_a_reference_keeps_its_proportions_and_stays_within_an_area():
    assert fit_within(tiny.picture(1, (200, 100)), 5000, shortest=16, longest_ratio=8).size == (100, 50)
    assert fit_within(tiny.picture(1, (20, 10)), 5000, shortest=16, longest_ratio=8).size == (32, 16)
    assert fit_within(tiny.picture(1, (1000, 10)), 10**6, shortest=16, longest_ratio=8).size == (128, 16)


@pytest.mark.parametrize("text", ["a <img><|image_1|></img> rose", "{prompt} and {images}", "100 % {0}"])
def test_a_prompt_may_hold_any_signs(text):
    generator = part("omnigen")
    for references in ((), (tiny.picture(3),)):
        assert one(generator, Prompt("p", text), *references).size == (32, 32)


def test_an_interleaved_prompt_must_have_places_for_text_and_images():
    problem = OmniGen(model=examples.pipeline("omnigen"), interleaved="like {images}").options_error()
    assert problem == "interleaved: 'like {images}' must have both {images} and {prompt} in it"


@pytest.mark.parametrize("name", ["sd", "sd-img2img", "flux-redux", "emu3"])
def test_a_released_generator_lets_go_of_its_model_and_draws_the_same_again(name):
    generator = make_part(name, examples.options(name), REGISTRY)
    references = [tiny.picture(3)][: generator.max_references]
    before = one(generator, ROSE, *references)
    loaded = generator.pipeline if name != "emu3" else generator.pipeline[0]
    held = weakref.ref(getattr(loaded, "vae", loaded))
    del loaded
    generator.release()
    gc.collect()
    assert held() is None
    assert gap(one(generator, ROSE, *references), before) == 0


@pytest.mark.parametrize("name", GENERATORS)
def test_a_model_of_another_family_is_said_before_anything_runs(name, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "AudioLDMPipeline"}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    options = examples.options(name) | {"model": str(tmp_path)}
    problem = REGISTRY.get(name, "generator").load()(**options).options_error()
    assert problem and str(tmp_path) in problem and ("expected" in problem or "no Emu2 model" in problem)


def test_a_model_is_an_input_of_the_step_and_so_are_its_adapter_and_encoders(tmp_path):
    given = examples.options("sd")
    assert [str(p) for p in part("sd").inputs()] == [given["model"], given["adapter"], given["image_encoder"]]
    assert [str(p) for p in StableDiffusion(model=given["model"]).inputs()] == [given["model"]]
    redux = examples.options("flux-redux")
    assert [str(p) for p in part("flux-redux").inputs()] == [redux["model"], redux["redux"]]


def test_a_distilled_klein_is_drawn_without_guidance_and_a_base_one_with_it(tmp_path):
    folder = shutil.copytree(examples.pipeline("klein"), tmp_path / "base")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"is_distilled": False}))
    options = examples.options("flux2-klein") | {"model": str(folder)}
    assert gap(one(Flux2Klein(**options)), one(Flux2Klein(**options, guidance=1.0))) > 0
    assert gap(one(Flux2Klein(**options, guidance=1.0)), one(part("flux2-klein"))) <= 1
