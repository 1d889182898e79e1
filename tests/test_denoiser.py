"""Denoisers: the functions under training and steering, on tiny random pipelines of the real classes."""

from __future__ import annotations

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism_generators import levels
from realism_generators.flux import Flux, FluxKontext
from realism_generators.sampling import draw_noise, sample
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL

FAMILIES = {
    "sd": (StableDiffusion, lambda: examples.pipeline("stable_diffusion")),
    "sdxl": (StableDiffusionXL, lambda: examples.pipeline("stable_diffusion_xl")),
    "sd3": (StableDiffusion3, lambda: examples.pipeline("stable_diffusion_3")),
    "flux": (Flux, lambda: examples.pipeline("flux")),
    "flux-kontext": (FluxKontext, examples.kontext),
    "garden/unet": (StableDiffusion, lambda: "garden/unet"),
    "garden/flux": (FluxKontext, lambda: "garden/flux"),
}
KINDS = ["sd", "sdxl", "sd3", "flux-kontext", "garden/unet"]
TEXTS = ("a red rose", "the blue daisy with a bee")


def made(name, guidance=1.0, **options):
    family, model = FAMILIES[name]
    weight = "true_guidance" if family in (Flux, FluxKontext) else "guidance"
    fast = {"dtype": "float32", "device": "cpu", "steps": 3, weight: guidance}
    return family(model=model(), **{**fast, **options})


def gap(pixels, images):
    """The farthest of pixels (b, 3, h, w) from pictures, of 255."""
    found = (pixels * 255).round().permute(0, 2, 3, 1).numpy()
    return max(np.abs(a - np.asarray(b, float)).max() for a, b in zip(found, images, strict=True))


@pytest.mark.parametrize(("guidance", "negative"), [(1.0, ""), (3.0, ""), (3.0, "sand")])
@pytest.mark.parametrize("name", FAMILIES)
def test_sampling_by_its_own_functions_draws_what_the_pipeline_of_diffusers_draws(name, guidance, negative):
    denoiser = made(name, guidance, negative_prompt=negative)
    references = [tiny.picture(i, (40, 50)) for i in range(len(TEXTS))]
    for given in ([], references) if denoiser.max_references else ([],):
        asked = [Request(Prompt(text, text), 5 + i, tuple(given[i : i + 1])) for i, text in enumerate(TEXTS)]
        with torch.no_grad():
            drawn = denoiser.decode(sample(denoiser, TEXTS, [5, 6], given))
        assert gap(drawn, denoiser.generate(asked)) <= 1


def test_a_scheduler_with_a_scaling_or_noise_of_its_own_draws_the_same_too():
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

    euler, ancestral, shifted = made("sdxl", 3.0), made("sd", 3.0), made("flux")
    for denoiser, kind, options in (
        (euler, EulerDiscreteScheduler, {}),
        (ancestral, EulerAncestralDiscreteScheduler, {}),
        (shifted, FlowMatchEulerDiscreteScheduler, {"use_dynamic_shifting": True}),
    ):
        denoiser.pipeline.scheduler = kind.from_config(denoiser.pipeline.scheduler.config, **options)
        with torch.no_grad():
            drawn = denoiser.decode(sample(denoiser, TEXTS[:1], [5]))
        assert gap(drawn, denoiser.generate([Request(Prompt("p", TEXTS[0]), 5)])) <= 1


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux", "garden/flux"])
def test_pixels_are_encoded_as_the_autoencoder_of_the_pipeline_does_and_come_back(name):
    denoiser = made(name)
    pixels = torch.rand(2, 3, 32, 32)
    encoded = denoiser.encode(pixels)
    again = denoiser.decode(encoded["mean"])
    vae = denoiser.pipeline.vae
    with torch.no_grad():
        posterior = vae.encode(2 * pixels - 1).latent_dist
        direct = vae.decode(posterior.mean).sample / 2 + 0.5
    torch.testing.assert_close(again, direct.clamp(0, 1), atol=1e-4, rtol=1e-4)
    assert (
        encoded["mean"].shape == encoded["std"].shape == draw_noise(made(name, size=32), [torch.Generator()] * 2).shape
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_stochastic_step_has_a_log_probability_whose_ratio_is_1_for_the_same_weights(name):
    denoiser = made(name)
    conditions, noise = (
        denoiser.condition(TEXTS),
        draw_noise(denoiser, [torch.Generator().manual_seed(k) for k in (1, 2)]),
    )
    path = denoiser.schedule.steps(4, noise)

    def policy(latents, k):
        predicted = denoiser.predict(latents, path[k].timesteps, conditions)
        clean, gaussian = levels.split(denoiser.schedule.kind, latents, predicted, path[k])
        mean = levels.noised(clean, 0.8 * gaussian, path[k + 1])  # 0.8 of the noise is kept, the rest drawn anew
        return torch.distributions.Normal(mean, 0.6 * path[k + 1].noise)

    with torch.no_grad():
        after = policy(noise, 1).sample()
        before = policy(noise, 1).log_prob(after).mean((1, 2, 3))
    now = policy(noise, 1).log_prob(after).mean((1, 2, 3))
    assert torch.equal((now - before).exp(), torch.ones(2))
    assert torch.isfinite(after).all()


@pytest.mark.parametrize("name", KINDS)
def test_a_step_along_a_gradient_through_the_decoded_picture_raises_what_it_measures(name):
    denoiser = made(name)
    conditions, latents = denoiser.condition(TEXTS[:1]), draw_noise(denoiser, [torch.Generator().manual_seed(1)])
    level = denoiser.schedule.steps(4, latents)[2]

    def redness(latents):
        predicted = denoiser.predict(latents, level.timesteps, conditions)
        clean, _ = levels.split(denoiser.schedule.kind, latents, predicted, level)
        red, *others = denoiser.decode(clean)[0]
        return (red - sum(others) / 2).mean()

    (gradient,) = torch.autograd.grad(redness(latents.requires_grad_()), latents)
    assert redness(latents + 0.5 * gradient / gradient.norm()) > redness(latents)


@pytest.mark.parametrize("name", KINDS)
def test_steps_of_inpainting_keep_what_is_outside_a_mask(name):
    denoiser = made(name, size=32)
    conditions, known = denoiser.condition(TEXTS[:1]), denoiser.encode(torch.rand(1, 3, 32, 32))["mean"]
    gaussian = latents = draw_noise(denoiser, [torch.Generator().manual_seed(1)])
    path, mask = denoiser.schedule.steps(3, latents), torch.zeros_like(known)
    mask[..., 1:3] = 1
    for k in range(3):
        with torch.no_grad():
            predicted = denoiser.predict(latents, path[k].timesteps, conditions)
        drawn = levels.noised(*levels.split(denoiser.schedule.kind, latents, predicted, path[k]), path[k + 1])
        latents = mask * drawn + (1 - mask) * levels.noised(known, gaussian, path[k + 1])
    assert torch.equal(latents[mask == 0], known[mask == 0])
    assert not torch.isclose(latents[mask == 1], known[mask == 1]).all()


def test_references_by_an_ip_adapter_are_refused_where_they_would_not_count():
    denoiser = made("sd", **examples.adapter("stable_diffusion"))
    with pytest.raises(RealismError, match=r"adapter: '.*' gives references to .* in drawing alone"):
        denoiser.condition(TEXTS, [tiny.picture(0)] * 2)
