"""Learning on the very pipeline that draws: its adapter comes, goes and is switched off, and all else stays."""

from __future__ import annotations

import contextlib

import examples
import lightning
import pytest
import tiny
import torch
from realism import RealismError, Request
from realism_generators import loading
from realism_generators.lora import LoRATrainer
from realism_generators.lora_module import LoRAModule
from realism_generators.tuning import FILE, LoRA, modules
from tiny_learning import ROSE, TEXTS, arm, fitted, made

FAMILIES = ["sd", "sdxl", "sd3", "flux", "flux-kontext"]
FEW = {"steps": 3, "batch": 2, "accumulate": 1, "learning_rate": 0.03}


def predicted(denoiser, texts=TEXTS):
    """What the network says of some noise."""
    conditions, latents = (
        denoiser.condition(texts),
        torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1)),
    )
    return denoiser.predict(latents, torch.tensor([500.0]), conditions)


def drawn(generator):
    return generator.generate([Request(ROSE, 7)])[0].tobytes()


@contextlib.contextmanager
def nothing_loads(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_pipeline", lambda *_, **__: pytest.fail("the base model was loaded again"))
        yield


@pytest.mark.parametrize("name", FAMILIES)
def test_base_and_tuned_network_are_one_object_with_its_adapter_off_and_on(name, tmp_path, monkeypatch):
    generator = made(name)
    with torch.no_grad():
        base, before = predicted(generator), drawn(generator)
    with nothing_loads(monkeypatch):
        _, weights = fitted(LoRATrainer(generator, **FEW), tmp_path)
        generator.use_weights(weights)
        with torch.no_grad():
            tuned = predicted(generator)
            with generator.adapter_off():
                assert torch.equal(predicted(generator), base)
            assert torch.equal(predicted(generator), tuned)
        assert not torch.allclose(tuned, base)
        assert drawn(generator) != before
        generator.use_weights(None)
        assert drawn(generator) == before
    again = made(name)
    again.use_weights(weights)
    with torch.no_grad():
        torch.testing.assert_close(predicted(again), tuned)


def test_the_base_policy_can_be_asked_while_a_gradient_to_the_adapter_is_made():
    generator = made("sd3")
    generator.training_pipeline()
    tuned = predicted(generator)
    with generator.adapter_off(), torch.no_grad():
        base = predicted(generator)
    (tuned - base - 1).square().mean().backward()
    learning = [weight for weight in generator.pipeline.transformer.parameters() if weight.requires_grad]
    assert learning and all(weight.grad is not None for weight in learning)
    assert any(weight.grad.abs().max() > 0 for weight in learning)


def test_a_fit_begins_where_the_generator_stands_and_without_its_scale(tmp_path):
    generator = made("sd", lora=LoRA(rank=4, alpha=8, scale=0.5))
    (tmp_path / "first").mkdir()
    _, weights = fitted(LoRATrainer(generator, **FEW), tmp_path / "first")
    with torch.no_grad():
        trained = predicted(generator)
        generator.use_weights(weights)
        halved = predicted(generator)
        generator.training_pipeline()
        again = predicted(generator)
    assert not torch.allclose(halved, trained)
    torch.testing.assert_close(again, trained)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_an_ip_adapter_rests_while_the_generator_learns(name, tmp_path, monkeypatch):
    kinds = {"sd": "stable_diffusion", "sdxl": "stable_diffusion_xl", "sd3": "stable_diffusion_3", "flux": "flux"}
    generator, bare = made(name, **examples.adapter(kinds[name])), made(name)
    request = Request(ROSE, 7, (tiny.picture(3),))
    before = generator.generate([request])[0].tobytes()
    for each, folder in ((generator, tmp_path / "with"), (bare, tmp_path / "without")):
        folder.mkdir()
        _, weights = fitted(LoRATrainer(each, **FEW), folder)
        each.use_weights(weights)
    assert (tmp_path / "with" / "weights" / FILE).read_bytes() == (weights / FILE).read_bytes()
    trained = generator.generate([request])[0].tobytes()
    assert trained != before
    generator.release()
    assert generator.generate([request])[0].tobytes() == trained
    generator.training_pipeline()
    generator.use_weights(None)
    assert generator.generate([request])[0].tobytes() == before


def test_hooks_that_move_a_model_are_taken_off_while_it_learns_and_put_back(tmp_path, monkeypatch):
    from accelerate import cpu_offload_with_hook

    def hooked(pipeline, device, offload):
        pipeline._all_hooks = [cpu_offload_with_hook(part, device)[1] for part in modules(pipeline).values()]
        return pipeline

    def hooks(generator):
        return [part for part in modules(generator.pipeline).values() if hasattr(part, "_hf_hook")]

    monkeypatch.setattr(loading, "place_pipeline", hooked)
    generator = made("sd", offload="model")
    before = drawn(generator)
    assert hooks(generator)
    generator.training_pipeline()
    assert not hooks(generator)
    _, weights = fitted(LoRATrainer(generator, **FEW), tmp_path)
    generator.use_weights(weights)
    assert hooks(generator)
    assert drawn(generator) != before


def test_each_text_and_picture_is_encoded_once_a_fit_and_again_by_no_fit_that_goes_on(tmp_path):
    generator = made("sd")
    counted = {"text_encoder": [], "encoder": []}
    pipeline = generator.pipeline
    for name, part in (("text_encoder", pipeline.text_encoder), ("encoder", pipeline.vae.encoder)):
        part.register_forward_pre_hook(lambda _, given, n=name: counted[n].extend(given[:1] or [0]))
    trainer = LoRATrainer(generator, **FEW | {"steps": 6})
    given, stopped = arm(tmp_path, 4), RuntimeError("killed")

    class Killed(lightning.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "last.ckpt")
                raise stopped

    def fit(callbacks=(), resume=None):
        lightning.seed_everything(0, verbose=False)
        module = trainer.module()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        lightning.Trainer(
            max_steps=6, default_root_dir=tmp_path, enable_checkpointing=False, callbacks=list(callbacks), **quiet
        ).fit(module, trainer.data(given), ckpt_path=resume, weights_only=True)

    with pytest.raises(RuntimeError, match="killed"):
        fit([Killed()])
    kept = sorted(found.name.split("-")[0] for found in tmp_path.iterdir() if found.is_dir())
    assert {"pictures", "texts"} <= set(kept)
    calls = {name: len(seen) for name, seen in counted.items()}
    assert calls == {"text_encoder": 1, "encoder": 4}, "2 texts in one batch, 4 pictures in two, and mirrored"
    fit(resume=tmp_path / "last.ckpt")
    assert calls == {name: len(seen) for name, seen in counted.items()}
    left = {found.name.split("-")[0] for found in tmp_path.iterdir() if found.is_dir()}
    assert not left & {"pictures", "texts"}, "what can be made again is not kept after a fit"


@pytest.mark.parametrize("name", ["sd", "flux-kontext", "amused"])
def test_what_was_encoded_once_gives_the_loss_of_what_is_encoded_anew(name, tmp_path):
    generator = made(name)
    trainer = LoRATrainer(generator, **FEW)
    loader = trainer.data(arm(tmp_path, 4))
    module = trainer.module()
    module.prepare(loader.rows, tmp_path)
    for batch in loader:
        random = torch.Generator().manual_seed(batch.seed)
        mirrored = torch.rand(2, generator=random) < 0.5
        pixels = torch.stack([pixels_of(path) for path in batch.images])
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
        losses = generator.losses(generator.encode(pixels), generator.condition(batch.texts), random)
        torch.testing.assert_close(module.training_step(batch, 0), losses.mean(), rtol=1e-4, atol=1e-5)


def pixels_of(path):
    from PIL import Image
    from realism_generators.references import as_pixels

    return as_pixels([Image.open(path)])[0]


def test_a_picture_that_cannot_be_read_stops_the_fit_before_it_learns(tmp_path, monkeypatch):
    generator = made("sd")
    trainer = LoRATrainer(generator, **FEW)
    loader = trainer.data(arm(tmp_path, 4))
    (tmp_path / "2.png").write_bytes(b"no picture")
    monkeypatch.setattr(LoRAModule, "training_step", lambda *_: pytest.fail("it trained"))
    with pytest.raises(RealismError, match=r"2\.png cannot be read"):
        trainer.module().prepare(loader.rows, tmp_path)


def test_the_arithmetic_of_training_follows_that_of_the_generator(tmp_path):
    generator = made("sd", dtype="bfloat16")
    before = drawn(generator)
    trainer = LoRATrainer(generator, **FEW)
    assert trainer.fit_options()["precision"] == "bf16-mixed"
    module, weights = fitted(trainer, tmp_path)
    kinds = {(weight.requires_grad, weight.dtype) for weight in module.network.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    generator.use_weights(weights)
    assert drawn(generator) != before
    generator.use_weights(None)
    assert drawn(generator) == before, "what is frozen should be as it was, to the bit"
    assert LoRATrainer(made("sd")).fit_options()["precision"] == "32-true"


def test_a_precision_that_does_not_fit_is_named_before_anything_runs():
    for dtype, precision, sentence in (
        ("float32", "bf16-mixed", "precision: 'bf16-mixed' does not fit .* in float32; .* dtype to bfloat16"),
        ("bfloat16", "32-true", "precision: '32-true' does not fit .* in bfloat16; .* dtype to float32"),
        ("float16", "auto", "generator.dtype: training in float16 needs a GPU"),
    ):
        error = LoRATrainer(made("sd", dtype=dtype), precision=precision).options_error()
        assert error is not None
        with pytest.raises(RealismError, match=sentence):
            raise RealismError(error)
    assert LoRATrainer(made("sd"), precision="32-true").options_error() is None
