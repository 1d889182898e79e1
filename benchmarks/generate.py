"""The step `generate` against the bare diffusers pipeline, same model, prompts, seeds and batch, in one go.

Left out: loading the model (both use the same loaded pipeline). The bare side keeps its images in memory; ours also
writes PNG files and tables. Rounds alternate, and the best of each side counts. Processor time is what the goal is
about, as machines are shared.
Run: .venv/bin/python benchmarks/generate.py --images 128 --batch 32 --rounds 3
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from realism.data.types import Prompt, Request, request_seed
from realism.plugins.manager import plugins
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run

RECIPE = """\
parts:
  generator: {{use: flux-kontext, model: garden/flux, dtype: float32, size: 64, steps: 12, batch: {batch},
              true_guidance: 2.5, max_sequence_length: 32}}
prompts: {{use: prompt_file, path: {prompts}}}
steps: [{{generate: {{shard: {images}}}}}]
"""


def main() -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.txt"
        prompts.write_text("\n".join(f"a photo of two bellamy on the beach, number {i}" for i in range(given.images)))
        path = Path(folder) / "bench.yaml"
        path.write_text(RECIPE.format(batch=given.batch, images=given.images, prompts=prompts))
        recipe = read_recipe(str(path), [], plugins().registry)
        generator = recipe.parts["generator"]
        asked = [
            Request(Prompt(p.id, p.text), request_seed(0, p.id, 0))
            for p in (recipe.prompts.prompts() if recipe.prompts else [])
        ]
        generator.generate(asked[: given.batch])  # type: ignore[attr-defined]
        ours, bare = [], []
        for number in range(given.rounds):
            bare.append(timed(lambda: run_bare(generator, asked, given.batch)))
            run = Run(recipe, Path(folder) / f"run{number}", plugins(), View(quiet=True))
            ours.append(timed(run.execute))
    for side, rounds in (("bare pipeline", bare), ("step generate", ours)):
        wall, processor = (min(each) for each in zip(*rounds, strict=True))
        spread = [round(each, 2) for _, each in rounds]
        print(f"{side}   {given.images / wall:7.2f} images/s   processor {processor:7.2f} s   rounds {spread}")
    wall, processor = (min(a) / min(b) for a, b in zip(zip(*ours, strict=True), zip(*bare, strict=True), strict=True))
    print(f"ours / bare     wall {wall:7.3f}   processor {processor:7.3f}   (goal: at most 1.01 by processor time)")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, by the wall clock and by the processors."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def run_bare(generator, asked: list[Request], batch: int) -> None:
    """The pipeline's own call, batch by batch."""
    for i in range(0, len(asked), batch):
        requests = asked[i : i + batch]
        with torch.inference_mode():
            generator.pipeline(
                **generator.arguments(requests, 64, 64),
                width=64,
                height=64,
                num_inference_steps=generator.steps,
                generator=[torch.Generator("cpu").manual_seed(r.seed) for r in requests],
                output_type="pil",
            )


if __name__ == "__main__":
    main()
