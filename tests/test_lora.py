"""Generators that learn from samples by an adapter, on tiny random pipelines of the real classes."""

from __future__ import annotations

import functools
import json
import logging
import shutil
from pathlib import Path

import examples
import lightning
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism.base.errors import RecipeError
from realism.base.tables import write_part
from realism.data.artifacts import Samples, Scores
from realism.data.rows import Sample, Score
from realism.testing import work_with
from realism_generators.amused import Amused
from realism_generators.flux import Flux, FluxKontext
from realism_generators.lora import LoRATrainer
from realism_generators.lora_learning import Learning
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL
from realism_generators.tuning import LoRA


@functools.cache
def velocity() -> str:
    """The tiny Stable Diffusion as one that predicts velocity."""
    folder = shutil.copytree(examples.pipeline("stable_diffusion"), examples.folder() / "velocity")
    settings = folder / "scheduler" / "scheduler_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"prediction_type": "v_prediction"}))
    return str(folder)


FAST = {"dtype": "float32", "device": "cpu", "steps": 2}
FAMILIES = {
    "sd": (StableDiffusion, lambda: examples.pipeline("stable_diffusion")),
    "sd-velocity": (StableDiffusion, velocity),
    "sdxl": (StableDiffusionXL, lambda: examples.pipeline("stable_diffusion_xl")),
    "sd3": (StableDiffusion3, lambda: examples.pipeline("stable_diffusion_3")),
    "flux": (Flux, lambda: examples.pipeline("flux")),
    "flux-kontext": (FluxKontext, examples.kontext),
    "amused": (Amused, examples.amused),
}
TEXTS = ("a red rose", "the blue daisy with a bee")
ROSE = Prompt("p", TEXTS[0])


def made(name, **options):
    family, model = FAMILIES[name]
    return family(model=model(), **{"lora": LoRA(rank=4, alpha=8), **FAST, **options})


def arm(folder, count=2, rewards=()):
    """What a trainer is given after `generate`, and `score` if there are rewards, one for each of the first samples."""
    samples = []
    for i in range(count):
        tiny.picture(i, (32, 32)).save(folder / f"{i}.png")
        samples.append(Sample(f"s{i}", f"p{i}", "samples", TEXTS[i % 2], "", i, f"{i}.png", 32, 32))
    for name in ("samples", "scores"):
        (folder / name).mkdir()
    write_part(samples, Sample, folder / "samples", 0)
    write_part([Score(f"s{i}", "good", r) for i, r in enumerate(rewards)], Score, folder / "scores", 0)
    return work_with(folder, {Samples("samples"): folder / "samples", Scores("samples", "good"): folder / "scores"})


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """By the name of a family: the module after a fit on two samples, and the folder that its adapter was saved in."""

    @functools.cache
    def fitted(name):
        folder = tmp_path_factory.mktemp(name)
        trainer = LoRATrainer(made(name), steps=16, batch=2, accumulate=1, learning_rate=0.03, flip=False)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        lightning.seed_everything(0, verbose=False)
        module = trainer.module()
        loader = trainer.data(arm(folder))
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        lightning.Trainer(
            max_steps=trainer.length(len(loader)), enable_checkpointing=False, **quiet, **trainer.fit_options()
        ).fit(module, loader)
        (folder / "weights").mkdir()
        trainer.save(module, folder / "weights")
        return module, folder / "weights"

    return fitted


def gap(a, b):
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


def plain(generator, folder, **options):
    """The picture that diffusers alone draws with the adapter."""
    import diffusers

    pipeline = getattr(diffusers, generator.pipeline_class).from_pretrained(generator.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if isinstance(generator, Amused):
        pipeline.transformer.load_lora_adapter(folder, prefix=None, weight_name="pytorch_lora_weights.safetensors")
    else:
        pipeline.load_lora_weights(folder)
    width, height = generator.width_height
    if isinstance(generator, FluxKontext):
        options |= {"max_area": width * height, "_auto_resize": False}
    random = torch.Generator().manual_seed(7)
    return pipeline(
        prompt=TEXTS[0],
        width=width,
        height=height,
        num_inference_steps=2,
        generator=random,
        guidance_scale=2.0,
        **options,
    ).images[0]


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux-kontext", "amused"])
def test_what_was_learnt_loads_into_plain_diffusers_and_draws_the_same_picture(name, taught):
    generator = made(name, guidance=2.0)
    before = generator.generate([Request(ROSE, 7)])[0]
    _, folder = taught(name)
    generator.use_weights(folder)
    learnt = generator.generate([Request(ROSE, 7)])[0]
    assert gap(learnt, before) > 1, "the adapter should change the picture, or this says nothing"
    assert gap(learnt, plain(generator, folder)) <= 1


def test_what_was_learnt_comes_and_goes(taught):
    generator = made("sd", guidance=2.0)
    before = generator.generate([Request(ROSE, 7)])[0]
    generator.use_weights(taught("sd")[1])
    learnt, _ = generator.generate([Request(ROSE, 7), Request(Prompt("q", TEXTS[1]), 3)])
    assert gap(learnt, generator.generate([Request(ROSE, 7)])[0]) <= 1, "the picture should not depend on its batch"
    generator.release()
    again, _ = generator.generate([Request(ROSE, 7), Request(Prompt("q", TEXTS[1]), 3)])
    assert gap(learnt, again) == 0, "it should be loaded again after a release"
    generator.use_weights(None)
    assert gap(before, generator.generate([Request(ROSE, 7)])[0]) == 0, "without weights it should be as it came"


def test_scale_says_how_much_of_the_adapter_counts(taught):
    _, folder = taught("sd")
    drawn = {}
    for scale in (0.0, 0.5):
        generator = made("sd", guidance=2.0, lora=LoRA(rank=4, alpha=8, scale=scale))
        bare = generator.generate([Request(ROSE, 7)])[0]
        generator.use_weights(folder)
        drawn[scale] = generator.generate([Request(ROSE, 7)])[0]
    assert gap(drawn[0.0], bare) <= 1
    assert gap(drawn[0.5], bare) > 1
    assert gap(drawn[0.5], plain(generator, folder, cross_attention_kwargs={"scale": 0.5})) <= 1


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux", "flux-kontext", "amused"])
def test_in_training_the_network_is_told_what_the_pipeline_tells_it(name):
    generator = made(name, guidance=1.0)
    pipeline = generator.trainable("float32")
    network, seen = getattr(pipeline, generator.network), []
    network.register_forward_pre_hook(lambda _, args, given: seen.append((args, given)), with_kwargs=True)
    requests = [Request(Prompt(text, text), 7) for text in TEXTS]
    for batch in [requests[:1], requests[1:]] if name == "amused" else [requests]:
        more = generator.arguments(batch, 32, 32)
        pipeline(**{"width": 32, "height": 32, "num_inference_steps": 1, "output_type": "pil", **more})
    drawn = seen[:]
    seen.clear()
    with torch.no_grad():
        pixels = torch.rand(2, 3, 32, 32)
        latents = generator.encode_pixels(pipeline, pixels, torch.Generator())
        conditions = generator.encode_texts(pipeline, TEXTS, 32, 32)
        assert generator.losses(pipeline, latents, conditions, torch.Generator()).shape == (2,)
    (_, trained), *_ = seen
    told = {
        key: torch.cat([given[key] for _, given in drawn]) if torch.is_tensor(value) and len(drawn) > 1 else value
        for key, value in drawn[0][1].items()
        if value is not None and key not in ("hidden_states", "timestep", "return_dict")
    }
    for key, value in told.items():
        if key.endswith("_kwargs") and not value:
            continue
        torch.testing.assert_close(trained[key], value)
    shapes = [(args or (given.get("hidden_states"),))[0].shape[1:] for args, given in (drawn[0], seen[0])]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["sd", "sd-velocity", "sd3", "flux-kontext", "amused"])
def test_the_loss_falls_on_what_is_learnt(name, taught):
    module, _ = taught(name)
    generator, network = module.options.generator, getattr(module.pipeline, module.options.generator.network)

    def loss():
        random = torch.Generator().manual_seed(1)
        pixels = torch.from_numpy(np.array(tiny.picture(0))).permute(2, 0, 1)[None].expand(8, -1, -1, -1)
        with torch.no_grad():
            latents = generator.encode_pixels(module.pipeline, pixels / 255, random)
            conditions = generator.encode_texts(module.pipeline, [TEXTS[0]] * 8, 32, 32)
            return generator.losses(module.pipeline, latents, conditions, random).mean().item()

    after = loss()
    network.disable_lora()
    before = loss()
    network.enable_lora()
    assert after < 0.97 * before


def test_losses_are_those_of_the_schedulers_of_diffusers():
    from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
    from realism_generators import tuning_losses as losses

    clean, noise, times = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([0, 500, 999])
    ddpm = DDPMScheduler()
    kept = ddpm.alphas_cumprod[times]
    torch.testing.assert_close(losses.diffused(clean, noise, kept), ddpm.add_noise(clean, noise, times))
    velocity = losses.diffusion_target("v_prediction", clean, noise, kept)
    torch.testing.assert_close(velocity, ddpm.get_velocity(clean, noise, times))
    flow = FlowMatchEulerDiscreteScheduler(shift=3.0)
    sigmas = losses.draw_sigmas(flow.sigmas, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        losses.flowing(clean, noise, sigmas), flow.scale_noise(clean, sigmas * 1000, noise), atol=1e-5, rtol=1e-5
    )
    with pytest.raises(RealismError, match="prediction_type 'x' is not known; expected epsilon"):
        losses.diffusion_target("x", clean, noise, kept)


def test_masked_tokens_are_those_of_the_cosine_schedule_and_only_they_count():
    from realism_generators import tuning_losses as losses

    tokens = torch.randint(5, (4000, 16))
    hidden = losses.draw_masks(tokens, torch.Generator().manual_seed(0))
    assert hidden.sum(1).min() >= 1
    assert abs(hidden.float().mean().item() - 2 / np.pi) < 0.02, "the mean of cos(pi t / 2) is 2 / pi"
    logits = torch.randn(2, 5, 16)
    slow = [
        np.mean([-logits[i, :, j].log_softmax(0)[tokens[i, j]].item() for j in range(16) if hidden[i, j]])
        for i in range(2)
    ]
    np.testing.assert_allclose(losses.masked_cross_entropy(logits, tokens[:2], hidden[:2]), slow, rtol=1e-5)


def test_a_reward_weights_the_loss_of_each_sample(tmp_path):
    trainer = LoRATrainer(made("sd"), weight="good", batch=2, accumulate=1, steps=3, flip=False)
    torch.manual_seed(0)
    batches = list(trainer.data(arm(tmp_path, 3, rewards=(0.25, 0.75))))
    assert [sorted(zip(b.texts, b.weights, strict=True)) for b in batches] == [
        [(TEXTS[0], 0.25), (TEXTS[1], 0.75)]
    ] * 3, "the third sample has no score"
    module = trainer.module()
    each = []
    for i in range(2):
        weights = [float(i == 0), float(i == 1)]
        each.append(module.training_step(batches[0]._replace(weights=weights), 0).item())
    expected = sum(w * loss for w, loss in zip(batches[0].weights, each, strict=True))
    assert module.training_step(batches[0], 0).item() == pytest.approx(expected, rel=1e-5)


def test_a_reward_below_zero_weights_nothing(tmp_path):
    trainer = LoRATrainer(made("sd"), weight="good")
    with pytest.raises(RealismError, match="reward 'good' is -1 for sample 's1'; weights must be 0 or more"):
        trainer.data(arm(tmp_path, rewards=(1.0, -1.0)))


def test_one_of_several_values_of_a_reward_can_weight():
    trainer = LoRATrainer(made("sd"), weight="critic.plausibility")
    assert trainer.reads([]) == [Samples("samples"), Scores("samples", "critic.plausibility")]


RECIPE = """\
parts:
  generator: {use: flux, model: MODEL, dtype: float32, device: cpu, steps: 2, lora: {rank: 2}}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {}
  - train: {trainer: lora, steps: 2, batch: 2, accumulate: 2, learning_rate: 0.03}
  - generate: {name: after}
  - train: {trainer: lora, steps: 1, batch: 2, accumulate: 1, learning_rate: 0.03}
"""


def test_a_killed_fit_goes_on_and_ends_with_equal_bytes(run, write_recipe, tmp_path, monkeypatch):
    recipe = write_recipe(RECIPE.replace("MODEL", examples.pipeline("flux")))
    monkeypatch.setattr(LoRATrainer, "checkpoint_every", 1)
    run(recipe, out="whole")
    step, calls = Learning.training_step, []

    def killed(module, batch, number):
        calls.append(number)
        if len(calls) == 3:
            raise RuntimeError("killed")
        return step(module, batch, number)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Learning, "training_step", killed)
        run(recipe, out="killed")
    run(recipe, out="killed")
    assert calls == [0, 1, 2]
    found = {out: contents(tmp_path / out) for out in ("whole", "killed")}
    assert len(found["whole"]) == 2 + 3 + 3
    assert found["whole"] == found["killed"]
    before, after = (sorted((tmp_path / "whole").rglob(f"*{name}*/images/*.png")) for name in ("samples", "after"))
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(before, after, strict=True))
    (checkpoint,) = list((tmp_path / "whole").rglob("last.ckpt"))[:1]
    assert checkpoint.stat().st_size < 300_000, "only the adapter and its optimiser are kept"


def contents(folder: Path) -> dict[str, bytes]:
    """The adapters and pictures of a run."""
    found = (p for p in folder.rglob("*") if p.suffix in (".safetensors", ".png"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def test_wrong_options_of_the_adapter_are_named(read, write_recipe):
    path = write_recipe(RECIPE.replace("MODEL", examples.pipeline("flux")).replace("rank", "rnak"))
    with pytest.raises(RecipeError) as wrong:
        read(path)
    assert "parts.generator.lora.rnak" in str(wrong.value)
    assert "'lora' has no option 'rnak'; did you mean 'rank'?" in str(wrong.value)
    with pytest.raises(RealismError, match=r"lora\.targets: the unet of .* has no layers to_z"):
        made("sd", lora=LoRA(targets=("to_z",))).trainable("float32")
