"""What the builds share: threads, seeds, pictures as tensors, a clock for schedules, and saving."""

from __future__ import annotations

import copy
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from ..render import render
from ..scene import Scene, random_scene
from ..species import SPECIES, random_species

Report = Callable[[float, int], None] | None
"""Told the share done (0 to 1) and the step, now and then."""

# What this process may use, not what the machine has: two threads pinned to one core wait for each other.
THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def begin(seed: int) -> random.Random:
    """Fixes threads and seeds; returns a plain random generator of the same seed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    return random.Random(seed)


def pictures(items: Sequence[tuple[Scene, int]]) -> torch.Tensor:
    """Renders (scene, seed) pairs to uint8 pictures [n, 3, 64, 64]."""
    out = torch.empty(len(items), 64, 64, 3, dtype=torch.uint8)
    for i, (scene, seed) in enumerate(items):
        out[i] = torch.frombuffer(bytearray(render(scene, seed).tobytes()), dtype=torch.uint8).view(64, 64, 3)
    return out.permute(0, 3, 1, 2).contiguous()


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 pictures to floats in -1 to 1."""
    return images.float() / 127.5 - 1


def any_items(rng: random.Random, n: int, named: float = 0.5) -> list[tuple[Scene, int]]:
    """n random scenes with render seeds; a share ``named`` shows the 24 species, the rest random ones."""
    return [
        (random_scene(rng, rng.choice(SPECIES) if rng.random() < named else random_species(rng)), rng.randrange(2**31))
        for _ in range(n)
    ]


class Clock:
    """Yields training steps until a number of minutes (or of steps) is spent; ``share`` goes from 0 to 1."""

    def __init__(self, minutes: float, steps: int | None = None, report: Report = None):
        self.minutes, self.steps, self.report = minutes, steps, report
        self.step, self.start, self.share = 0, time.time(), 0.0

    def __iter__(self) -> Iterator[int]:
        while self.share < 1:
            yield self.step
            self.step += 1
            spent = (time.time() - self.start) / 60
            self.share = self.step / self.steps if self.steps else spent / self.minutes
            if self.report and self.step % 10 == 0:
                self.report(min(self.share, 1.0), self.step)

    def seconds(self) -> float:
        return time.time() - self.start

    def rate(self, peak: float, warm: float = 0.03, hold: float = 0.5, floor: float = 0.02) -> float:
        """The learning rate now: a linear warm-up, level, then a cosine down to ``floor`` of the peak."""
        if self.share < warm:
            return peak * (0.05 + 0.95 * self.share / warm)
        if self.share < hold:
            return peak
        fall = (self.share - hold) / (1 - hold)
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(fall, 1.0))))


class Average:
    """An exponential moving average of a model's weights, slower as training goes on."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.model: Any = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.count = decay, 0

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        self.count += 1
        d = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(list(self.model.parameters()), [p.detach() for p in model.parameters()], 1 - d)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Attention as two products and a softmax, of the same signature as torch's fused one.

    At these sizes it more than halves a training step on a CPU: the fused one's backward is slow there.
    """
    weights = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
    if attn_mask is not None:
        weights = weights.masked_fill(~attn_mask, -1e4) if attn_mask.dtype == torch.bool else weights + attn_mask
    if is_causal:
        weights = weights.masked_fill(torch.ones(weights.shape[-2:], dtype=torch.bool).triu(1), -1e4)
    return weights.softmax(-1).to(value.dtype) @ value


@contextmanager
def plain_attention() -> Iterator[None]:
    """Within it, torch's attention is the plain one."""
    fused, functional.scaled_dot_product_attention = functional.scaled_dot_product_attention, _attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = fused
