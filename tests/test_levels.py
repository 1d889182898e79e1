"""Noise levels and schedules, against the schedulers of diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from realism import RealismError
from realism_generators import levels
from realism_generators.schedules import DiffusionSchedule, FlowSchedule


def test_levels_are_those_of_the_schedulers_of_diffusers():
    clean, gaussian = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    ddpm = DDPMScheduler()
    level = DiffusionSchedule(ddpm).draw(3, torch.Generator().manual_seed(0))
    noisy = levels.noised(clean, gaussian, level)
    torch.testing.assert_close(noisy, ddpm.add_noise(clean, gaussian, level.timesteps))
    velocity = levels.target("v_prediction", clean, gaussian, level)
    torch.testing.assert_close(velocity, ddpm.get_velocity(clean, gaussian, level.timesteps))
    flow = FlowMatchEulerDiscreteScheduler(shift=3.0)
    level = FlowSchedule(flow, patch=2, evenly=True).draw(3, torch.Generator().manual_seed(0))
    noisy = levels.noised(clean, gaussian, level)
    torch.testing.assert_close(noisy, flow.scale_noise(clean, level.timesteps, gaussian), atol=1e-5, rtol=1e-5)


def test_a_scheduler_with_flow_sigmas_trains_at_levels_from_noise_to_clean_latents():
    made = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    level = FlowSchedule(made, patch=2, evenly=True).draw(4000, torch.Generator().manual_seed(0))
    shifted = FlowSchedule(FlowMatchEulerDiscreteScheduler(shift=3.0), patch=2, evenly=True)
    same = shifted.draw(4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(level.timesteps, same.timesteps, atol=1e-2, rtol=1e-5)
    assert level.timesteps.min() > 0 and level.timesteps.max() <= 1000


def test_what_a_network_predicts_stands_for_a_picture_and_its_noise():
    clean, gaussian = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    for kind in ("epsilon", "v_prediction", "sample", "flow"):
        made_of = levels.rectified_flow if kind == "flow" else levels.variance_preserving
        level = made_of(torch.tensor([900, 500, 100]), torch.tensor([0.1, 0.5, 0.9]))
        noisy, predicted = levels.noised(clean, gaussian, level), levels.target(kind, clean, gaussian, level)
        torch.testing.assert_close(levels.split(kind, noisy, predicted, level), (clean, gaussian), atol=1e-5, rtol=1e-5)
    with pytest.raises(RealismError, match="prediction_type 'x' is not known; expected epsilon"):
        levels.target("x", clean, gaussian, level)


def test_steps_run_from_noise_to_clean_latents_and_leave_the_scheduler_as_it_was():
    noise = torch.randn(1, 4, 8, 8)
    ddim = DDIMScheduler(timestep_spacing="trailing")
    flow = FlowMatchEulerDiscreteScheduler(shift=3.0)
    for schedule in (DiffusionSchedule(ddim), FlowSchedule(flow, 2, evenly=True), FlowSchedule(flow, 2, evenly=False)):
        path = schedule.steps(5, noise)
        assert len(path) == 6
        assert torch.equal(path.timesteps[:-1], schedule.scheduler(5, noise).timesteps.float())
        assert (path.signal[-1], path.noise[-1]) == (1, 0)
        assert (path.signal.diff() > 0).all() and (path.noise.diff() < 0).all() and (path.timesteps.diff() < 0).all()
    assert len(ddim.timesteps) == len(flow.timesteps) == 1000


def test_a_step_along_the_levels_is_that_of_the_scheduler():
    noisy, predicted = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    v = DDIMScheduler(timestep_spacing="trailing", prediction_type="v_prediction", clip_sample=False)
    for schedule in (DiffusionSchedule(v), FlowSchedule(FlowMatchEulerDiscreteScheduler(shift=3.0), 2, evenly=True)):
        path, scheduler = schedule.steps(5, noisy), schedule.scheduler(5, noisy)
        for k in range(5):
            ours = levels.noised(*levels.split(schedule.kind, noisy, predicted, path[k]), path[k + 1])
            theirs = scheduler.step(predicted, scheduler.timesteps[k], noisy).prev_sample
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
