"""Generators that learn from samples by an adapter, on tiny random pipelines of the real classes."""

from __future__ import annotations

import functools
from pathlib import Path

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism.base.errors import RecipeError
from realism.data.artifacts import Samples, ScoreTable
from realism_generators.amused import Amused
from realism_generators.flux import FluxKontext
from realism_generators.lora import LoRATrainer
from realism_generators.lora_module import LoRAModule
from realism_generators.tuning import LoRA
from tiny_learning import ROSE, TEXTS, arm, fitted, made


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory):
    """By the name of a family: the module after a fit on two samples, and the folder that its adapter was saved in."""

    @functools.cache
    def trained(name):
        folder = tmp_path_factory.mktemp(name)
        return fitted(LoRATrainer(made(name), steps=16, batch=2, accumulate=1, learning_rate=0.03, flip=False), folder)

    return trained


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
def test_a_trained_adapter_loads_into_plain_diffusers_and_draws_the_same_picture(name, trained_on):
    generator = made(name, guidance=2.0)
    before = generator.generate([Request(ROSE, 7)])[0]
    _, folder = trained_on(name)
    generator.use_weights(folder)
    trained = generator.generate([Request(ROSE, 7)])[0]
    assert gap(trained, before) > 1, "the adapter should change the picture, or this says nothing"
    assert gap(trained, plain(generator, folder)) <= 1


def test_a_trained_adapter_comes_and_goes(trained_on):
    generator = made("sd", guidance=2.0)
    before = generator.generate([Request(ROSE, 7)])[0]
    generator.use_weights(trained_on("sd")[1])
    trained, _ = generator.generate([Request(ROSE, 7), Request(Prompt("q", TEXTS[1]), 3)])
    assert gap(trained, generator.generate([Request(ROSE, 7)])[0]) <= 1, "the picture should not depend on its batch"
    generator.release()
    again, _ = generator.generate([Request(ROSE, 7), Request(Prompt("q", TEXTS[1]), 3)])
    assert gap(trained, again) == 0, "it should be loaded again after a release"
    generator.use_weights(None)
    assert gap(before, generator.generate([Request(ROSE, 7)])[0]) == 0, "without weights it should be as it came"


def test_scale_says_how_much_of_the_adapter_counts(trained_on):
    _, folder = trained_on("sd")
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
def test_in_training_the_network_has_the_conditioning_that_the_pipeline_gives_it(name):
    generator = made(name, guidance=1.0)
    pipeline = generator.pipeline
    network, seen = getattr(pipeline, generator.network), []
    network.register_forward_pre_hook(lambda _, args, given: seen.append((args, given)), with_kwargs=True)
    requests = [Request(Prompt(text, text), 7) for text in TEXTS]
    for batch in [requests[:1], requests[1:]] if name == "amused" else [requests]:
        more = generator.arguments(batch, 32, 32)
        pipeline(**{"width": 32, "height": 32, "num_inference_steps": 1, "output_type": "pil", **more})
    drawn = seen[:]
    seen.clear()
    with torch.no_grad():
        pictures, conditions = generator.encode(torch.rand(2, 3, 32, 32)), generator.condition(TEXTS)
        assert generator.losses(pictures, conditions, torch.Generator()).shape == (2,)
    (_, trained), *_ = seen
    conditioning = {
        key: torch.cat([given[key] for _, given in drawn]) if torch.is_tensor(value) and len(drawn) > 1 else value
        for key, value in drawn[0][1].items()
        if value is not None and key not in ("hidden_states", "timestep", "return_dict")
    }
    for key, value in conditioning.items():
        if key.endswith("_kwargs") and not value:
            continue
        torch.testing.assert_close(trained[key], value)
    shapes = [(args or (given.get("hidden_states"),))[0].shape[1:] for args, given in (drawn[0], seen[0])]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["sd", "sd-velocity", "sd3", "flux-kontext", "amused"])
def test_the_loss_falls_on_what_it_is_trained_on(name, trained_on):
    module, _ = trained_on(name)
    generator = module.options.generator

    def loss():
        random = torch.Generator().manual_seed(1)
        pixels = torch.from_numpy(np.array(tiny.picture(0))).permute(2, 0, 1)[None].expand(8, -1, -1, -1) / 255
        with torch.no_grad():
            pictures, conditions = generator.encode(pixels), generator.condition([TEXTS[0]] * 8)
            return generator.losses(pictures, conditions, random).mean().item()

    after = loss()
    with generator.adapter_off():
        before = loss()
    assert after < 0.97 * before


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
    loader = trainer.data(arm(tmp_path, 3, rewards=(0.25, 0.75)))
    batches = list(loader)
    assert [sorted(zip(b.texts, b.weights, strict=True)) for b in batches] == [
        [(TEXTS[0], 0.25), (TEXTS[1], 0.75)]
    ] * 3, "the third sample has no score"
    module = trainer.module()
    module.prepare(loader.rows, tmp_path)
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
    assert trainer.reads([]) == [Samples("samples"), ScoreTable("samples", "critic.plausibility")]


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
    step, calls = LoRAModule.training_step, []

    def killed(module, batch, number):
        calls.append(number)
        if len(calls) == 3:
            raise RuntimeError("killed")
        return step(module, batch, number)

    with monkeypatch.context() as patch, pytest.raises(RealismError, match="killed"):
        patch.setattr(LoRAModule, "training_step", killed)
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


def test_a_fit_that_was_killed_after_its_last_step_has_only_to_be_saved(run, write_recipe, tmp_path, monkeypatch):
    recipe = write_recipe(RECIPE.replace("MODEL", examples.pipeline("flux")))
    monkeypatch.setattr(LoRATrainer, "checkpoint_every", 1)
    run(recipe, out="whole")

    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RealismError, match="killed"):
        patch.setattr(LoRATrainer, "save", killed)
        run(recipe, out="killed")
    run(recipe, out="killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


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
        made("sd", lora=LoRA(targets=("to_z",))).training_pipeline()
