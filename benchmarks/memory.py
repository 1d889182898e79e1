"""Peak memory and time as samples grow: 10,000 and 100,000 made, scored, selected, evaluated, projected, reported.

Left out: the models. A generator that paints a colour and an encoder of mean colours stand in, so that what is seen is
the framework's own: shards, tables, streaming, FID and KID with their resamples. Each size runs in a process of its
own; the peak is the resident set's high-water mark.
Run: .venv/bin/python benchmarks/memory.py --sizes 10000 100000
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path

RECIPE = """\
parts:
  photos: {{use: image_folder, path: {photos}}}
  encoder: {{use: toy_retriever}}
  generator: {{use: toy, size: 16}}
  colour: {{use: toy_colour}}
  bright: {{use: toy_bright}}
  kid: {{use: kid, encoder: encoder}}
  fid: {{use: fid, encoder: encoder}}
prompts: {{use: toy_prompts, count: {prompts}}}
steps:
  - generate: {{name: none, per_prompt: 4}}
  - score: {{rewards: [colour, bright]}}
  - select: {{where: bright >= 0.1, best: bright, arms: [none], name: best}}
  - evaluate: {{metrics: [kid, fid], real: photos, by: novel, diversity: encoder}}
  - project: {{encoder: encoder, real: photos}}
  - report: {{}}
"""


def one(images: int) -> None:
    """Run one size and print its peak in MiB, and the seconds of each step."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import numpy as np
    from PIL import Image
    from realism.plugins.manager import Plugins, installed
    from realism.recipe.recipe import read_recipe
    from realism.runs.progress import View
    from realism.runs.run import Run

    plugins = Plugins([*installed(), EntryPoint("toys", "toys", "realism")])
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for subject in ("red", "green", "blue", "grey"):
            photos = Path(folder) / "photos" / subject
            photos.mkdir(parents=True)
            for i in range(500):
                colour = tuple(int(c) for c in random.integers(0, 256, 3))
                Image.new("RGB", (16, 16), colour).save(photos / f"{i:04d}.png", compress_level=1)
        path = Path(folder) / "recipe.yaml"
        path.write_text(RECIPE.format(photos=Path(folder) / "photos", prompts=images // 4))
        run = Run(read_recipe(str(path), [], plugins.registry), Path(folder) / "run", plugins, View(quiet=True))
        run.execute()
        timings = {s.title: json.loads((run.folder / s.folder / "timing.json").read_text()) for s in run.steps}
    print(
        json.dumps(
            {
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "seconds": {title: timing["seconds"] for title, timing in timings.items()},
            }
        )
    )


def main() -> None:
    """Print the peak and the times at each size, and the ratios of the last to the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--one", type=int)
    given = parser.parse_args()
    if given.one:
        return one(given.one)
    told = []
    for images in given.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(images)], stdout=subprocess.PIPE, text=True, check=True
        )
        told.append(json.loads(done.stdout.splitlines()[-1]))
        times = ", ".join(f"{title} {seconds:.1f} s" for title, seconds in told[-1]["seconds"].items())
        print(f"{images:>8,} samples   peak {told[-1]['peak']:7.1f} MiB   {times}", flush=True)
    first, last = told[0], told[-1]
    grown = given.sizes[-1] / given.sizes[0]
    print(f"{grown:g} times the samples: peak x {last['peak'] / first['peak']:.2f} (goal: at most 1.2)")
    for title, seconds in last["seconds"].items():
        ratio = seconds / max(first["seconds"][title], 1e-3)
        print(f"  {title:<16} time x {ratio:.1f}")
    return None


if __name__ == "__main__":
    main()
