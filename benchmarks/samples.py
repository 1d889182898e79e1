"""Eight samples of a prompt in one call of a generator against eight separate calls, in one go.

Both sides draw the same pictures (checked to 1/255) with the same loaded model. It also says how long the texts of a
call take to encode, all the same text, and one alone: what encoding equal prompts once could save at most. Rounds
alternate, and the best of each side counts.
Run: .venv/bin/python benchmarks/samples.py --prompts 4 --rounds 3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from realism.data.types import Prompt, Request, request_seed
from realism_generators.flux import FluxKontext


def main() -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    generator = FluxKontext(
        model="garden/flux", dtype="float32", device="cpu", size=64, steps=12, true_guidance=2.5, max_sequence_length=32
    )
    prompts = [Prompt(f"p{i}", f"a photo of {1 + i} bellamy on the beach") for i in range(given.prompts)]
    calls = [[Request(p, request_seed(0, p.id, i)) for i in range(given.samples)] for p in prompts]

    def together() -> list:
        return [image for call in calls for image in generator.generate(call)]

    def apart() -> list:
        return [generator.generate([request])[0] for call in calls for request in call]

    def texts(count: int) -> None:
        with torch.inference_mode():
            generator.pipeline.encode_prompt([prompts[0].text] * count, None, max_sequence_length=32)

    generator.generate(calls[0])
    one, eight, all_texts, one_text = [], [], [], []
    for _ in range(given.rounds):
        seconds, pictures = timed(apart)
        one.append(seconds)
        seconds, same = timed(together)
        eight.append(seconds)
        all_texts.append(timed(lambda: texts(given.samples))[0])
        one_text.append(timed(lambda: texts(1))[0])
    gap = max(np.abs(np.asarray(a, int) - np.asarray(b, int)).max() for a, b in zip(pictures, same, strict=True))
    count = given.prompts * given.samples
    share = (min(all_texts) - min(one_text)) * 2 * given.prompts / min(eight)  # prompt and negative prompt
    print(f"one a call     {count / min(one):7.2f} images/s   rounds {[round(s, 2) for s in one]} s")
    print(f"{given.samples} a call       {count / min(eight):7.2f} images/s   rounds {[round(s, 2) for s in eight]} s")
    print(f"speed-up       {min(one) / min(eight):7.2f}            pictures differ by at most {gap}/255")
    print(f"encoding equal texts once would save at most {share:.1%} of a call")


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds that some work takes, and its result."""
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


if __name__ == "__main__":
    main()
