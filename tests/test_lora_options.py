"""Options of the trainer `lora`: weights of noise levels, texts left out, averaged weights, 8-bit moments."""

from __future__ import annotations

import shutil

import lightning
import pytest
import torch
from realism import RealismError
from realism_generators import levels
from realism_generators.levels import variance_preserving
from realism_generators.lora import LoRATrainer
from realism_generators.lora_module import drop_captions
from realism_generators.tuning import FILE, LoRA
from realism_generators.tuning_losses import min_snr_weights
from safetensors.torch import load_file
from tiny_learning import TEXTS, arm, fitted, made

FEW = {"steps": 4, "batch": 2, "accumulate": 1, "learning_rate": 0.03, "flip": False}


def levels_at(*kept):
    """Levels of diffusion at those values of alphas_cumprod."""
    return variance_preserving(torch.arange(float(len(kept))), torch.tensor(kept))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_min_snr_weights_are_min_snr_and_gamma_over_what_the_prediction_divides_by(kind):
    kept = [0.001, 0.1, 0.5, 0.8, 5 / 6, 0.9, 0.9999]
    expected = []
    for alpha_cumprod in kept:
        snr = alpha_cumprod / (1 - alpha_cumprod)
        weight = snr if snr < 5.0 else 5.0
        expected.append(weight / {"epsilon": snr, "v_prediction": snr + 1, "sample": 1}[kind])
    torch.testing.assert_close(
        min_snr_weights(kind, levels_at(*kept), 5.0), torch.tensor(expected), rtol=1e-4, atol=1e-6
    )


def test_min_snr_weights_have_known_values():
    level = levels_at(0.5, 0.9, 0.0, 1.0)  # SNR 1, 9, 0 and infinite
    for kind, known in (
        ("epsilon", [1.0, 5 / 9, 1.0, 0.0]),
        ("v_prediction", [0.5, 0.5, 0.0, 0.0]),
        ("sample", [1.0, 5.0, 0.0, 5.0]),
    ):
        torch.testing.assert_close(min_snr_weights(kind, level, 5.0), torch.tensor(known), rtol=1e-5, atol=1e-5)
    with pytest.raises(RealismError, match="prediction_type 'flow' is not known"):
        min_snr_weights("flow", level, 5.0)


def test_min_snr_weighs_the_same_error_of_the_clean_latents_alike_whatever_is_predicted():
    level = levels_at(0.2, 0.6, 0.99)
    clean, gaussian, off = torch.randn(3, 3, 4, 8, 8)
    noisy, weighted = levels.noised(clean, gaussian, level), []
    for kind in ("epsilon", "v_prediction", "sample"):
        predicted = levels.target(kind, clean, gaussian, level) + off
        found, _ = levels.split(kind, noisy, predicted, level)
        errors = [(a - b).square().flatten(1).mean(1) for a, b in ((off, torch.zeros(1)), (found, clean))]
        weighted.append(errors[0] * min_snr_weights(kind, level, 5.0) / errors[1])
    for each in weighted:
        torch.testing.assert_close(each, weighted[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sd", "sd-velocity"])
def test_min_snr_weights_the_loss_of_each_sample_at_its_noise_level(name):
    generator = made(name)
    generator.training_pipeline()
    pictures, conditions = generator.encode(torch.rand(2, 3, 32, 32)), generator.condition(TEXTS)
    drawn = []
    draw = generator.schedule.draw

    def noted(b, random):
        drawn.append(draw(b, random))
        return drawn[-1]

    generator.schedule.draw = noted
    with torch.no_grad():
        plain, weighted = (
            generator.losses(pictures, conditions, torch.Generator().manual_seed(3), gamma) for gamma in (None, 1e-4)
        )
    weights = min_snr_weights(generator.schedule.kind, drawn[0], 1e-4)
    torch.testing.assert_close(weighted, plain * weights, rtol=1e-5, atol=0)
    assert weights.max() < 1


@pytest.mark.parametrize("name", ["sd3", "flux", "amused"])
def test_min_snr_is_refused_where_nothing_of_diffusion_is_predicted(name):
    assert "min_snr: " in (LoRATrainer(made(name), min_snr=5.0).options_error() or "")
    assert LoRATrainer(made("sdxl"), min_snr=5.0).options_error() is None


def test_captions_are_dropped_with_their_probability_and_the_same_by_the_same_seed():
    texts = ["a rose"] * 20_000
    dropped = drop_captions(texts, 0.1, torch.Generator().manual_seed(0))
    assert abs(dropped.count(None) / len(texts) - 0.1) < 0.01
    assert set(dropped) == {"a rose", None}
    assert dropped == drop_captions(texts, 0.1, torch.Generator().manual_seed(0))
    assert None not in drop_captions(texts, 0.0, torch.Generator())
    assert set(drop_captions(texts, 1.0, torch.Generator())) == {None}


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux", "amused"])
def test_without_its_caption_a_sample_is_trained_on_with_the_conditions_of_no_text(name, tmp_path):
    generator = made(name)
    trainer = LoRATrainer(generator, **FEW, caption_dropout=1.0)
    module, loader = trainer.module(), trainer.data(arm(tmp_path))
    module.prepare(loader.rows, tmp_path)
    (batch, *_) = loader
    random = torch.Generator().manual_seed(batch.seed)
    torch.rand(2, generator=random)
    conditions = generator.condition(["", ""])
    if name == "sdxl":  # which draws without a negative prompt from zeros
        generator.pipeline.register_to_config(force_zeros_for_empty_prompt=True)
        conditions = {key: torch.zeros_like(rows) for key, rows in conditions.items()}
    pictures = module.encoded.pictures(batch.images, [False, False], torch.device("cpu"))
    with torch.no_grad():
        expected = generator.losses(pictures, conditions, random).mean()
        torch.testing.assert_close(module.training_step(batch, 0), expected, rtol=1e-4, atol=1e-5)


def test_a_text_that_is_dropped_is_encoded_once_a_fit(tmp_path):
    generator, calls = made("sd"), []
    generator.pipeline.text_encoder.register_forward_pre_hook(lambda _, given: calls.append(given))
    fitted(LoRATrainer(generator, **FEW | {"steps": 8}, caption_dropout=0.5), tmp_path)
    assert len(calls) == 2, "the two texts in one batch, and no text"


def averaged(history, decay):
    """The moving average of weights after each step, one number at a time."""
    average = None
    for n, weights in enumerate(history, 1):
        d = 0.0 if n == 1 else min(decay, n / (n + 9))
        average = [d * a + (1 - d) * w for a, w in zip(average or weights, weights, strict=True)]
    return average


@pytest.mark.parametrize("decay", [0.2, 0.999])
def test_the_saved_adapter_is_the_moving_average_of_its_weights(decay, tmp_path):
    history = []

    class Note(lightning.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if trainer.global_step > len(history):
                history.append([weight.detach().double().clone() for weight in module.trainable()])

    trainer = LoRATrainer(made("sd"), **FEW | {"steps": 5, "accumulate": 2}, ema_decay=decay)
    module, folder = fitted(trainer, tmp_path, callbacks=[Note()])
    assert len(history) == 5
    saved = load_file(folder / FILE)
    flat = torch.cat([saved[name].flatten() for name in sorted(saved)])
    expected = averaged(history, decay)
    for weight, average in zip(module.trainable(), expected, strict=True):
        torch.testing.assert_close(weight.double(), average, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        flat.sort().values, torch.cat([each.flatten() for each in expected]).float().sort().values, rtol=1e-5, atol=1e-6
    )
    assert not torch.allclose(expected[0], history[-1][0]), "the average should differ from the last weights"


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
def test_a_fit_with_every_option_goes_on_and_ends_with_equal_bytes(optimizer, tmp_path):
    if optimizer == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    options = {"min_snr": 5.0, "caption_dropout": 0.5, "ema_decay": 0.9, "optimizer": optimizer}
    rank = LoRA(rank=128, alpha=8)  # so that there are tensors of more than 4096 numbers
    stopped = RuntimeError("killed")

    class Killed(lightning.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 2:
                trainer.save_checkpoint(tmp_path / "last.ckpt")
                raise stopped

    def fit(name, callbacks=(), resume=None):
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        trainer = LoRATrainer(made("sd", lora=rank), **FEW, **options)
        return fitted(trainer, folder, callbacks=list(callbacks), resume=resume)[1]

    whole = fit("whole")
    with pytest.raises(RuntimeError, match="killed"):
        fit("killed", [Killed()])
    resumed = fit("killed", resume=tmp_path / "last.ckpt")
    assert (resumed / FILE).read_bytes() == (whole / FILE).read_bytes()


def test_8_bit_moments_train_as_those_of_32_bits_do_and_take_a_quarter(tmp_path):
    pytest.importorskip("bitsandbytes")
    trained = {}
    for optimizer in ("adamw", "adamw8bit"):
        folder = tmp_path / optimizer
        folder.mkdir()
        trainer = LoRATrainer(made("sd", lora=LoRA(rank=128)), **FEW | {"learning_rate": 0.001}, optimizer=optimizer)
        torch.manual_seed(0)
        module, _ = fitted(trainer, folder)
        states = module.trainer.optimizers[0].state
        large = next(weight for weight in states if weight.numel() >= 4096)
        moments = [value for value in states[large].values() if torch.is_tensor(value) and value.shape == large.shape]
        trained[optimizer] = (
            torch.cat([weight.detach().flatten() for weight in module.trainable()]),
            sum(value.nbytes for value in moments),
        )
    (full, bytes_full), (quantised, bytes_quantised) = trained.values()
    assert bytes_quantised * 4 == bytes_full
    assert not torch.equal(full, quantised)
    torch.testing.assert_close(quantised, full, rtol=0, atol=0.004)


def test_8_bit_without_bitsandbytes_is_named_before_anything_runs(monkeypatch):
    monkeypatch.setattr("realism_generators.lora.find_spec", lambda _: None)
    error = LoRATrainer(made("sd"), optimizer="adamw8bit").options_error()
    assert error is not None and 'pip install "realism[8bit]"' in error
    assert LoRATrainer(made("sd")).options_error() is None


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_gradients_are_the_same_with_gradient_checkpointing(name, tmp_path):
    gradients = {}
    for checkpointed in (False, True):
        torch.manual_seed(0)
        trainer = LoRATrainer(made(name), **FEW, gradient_checkpointing=checkpointed)
        folder = tmp_path / str(checkpointed)
        folder.mkdir()
        loader, module = trainer.data(arm(folder)), trainer.module()
        module.train()
        module.prepare(loader.rows, folder)
        assert module.network.is_gradient_checkpointing is checkpointed
        module.training_step(next(iter(loader)), 0).backward()
        gradients[checkpointed] = [weight.grad for weight in module.trainable()]
    for plain, again in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-5)
    assert max(each.abs().max() for each in gradients[True]) > 1e-4


def test_gradient_checkpointing_is_refused_where_the_network_cannot():
    error = LoRATrainer(made("amused"), gradient_checkpointing=True).options_error()
    assert error is not None and error.startswith("gradient_checkpointing: ")
