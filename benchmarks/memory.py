"""Peak memory of the garden's recipe without weights growing: 1,000 and 10,000 images made, indexed and scored.

Left out: the model; a generator that paints a colour stands in, so that what is seen is the framework's own memory.
Each size runs in a process of its own; the peak is the resident set's high-water mark.
Run: .venv/bin/python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path

RECIPE = """\
parts:
  database: {{use: image_folder, path: {database}}}
  retriever: {{use: toy_retriever}}
  generator: {{use: toy, size: 64}}
  colour: {{use: toy_colour}}
prompts: {{use: toy_prompts, count: {images}}}
steps:
  - index: {{}}
  - retrieve: {{}}
  - generate: {{}}
  - score: {{rewards: [colour]}}
  - report: {{}}
"""


def one(images: int) -> None:
    """Run one size and print its peak in MiB."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from PIL import Image
    from realism.plugins.manager import Plugins, installed
    from realism.recipe.recipe import read_recipe
    from realism.run.progress import View
    from realism.run.run import Run

    plugins = Plugins([*installed(), EntryPoint("toys", "toys", "realism")])
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "database" / "red"
        database.mkdir(parents=True)
        for i in range(images):
            Image.new("RGB", (64, 64), (i % 256, i // 256, 0)).save(database / f"{i:06d}.png", compress_level=1)
        path = Path(folder) / "recipe.yaml"
        path.write_text(RECIPE.format(database=database.parent, images=images))
        recipe = read_recipe(str(path), [], plugins.registry)
        Run(recipe, Path(folder) / "run", plugins, View(quiet=True)).execute()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print the peak at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--one", type=int)
    given = parser.parse_args()
    if given.one:
        return one(given.one)
    for images in given.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(images)], capture_output=True, text=True, check=True
        )
        print(f"{images:>7,} images   peak {float(done.stdout.split()[-1]):7.1f} MiB")


if __name__ == "__main__":
    main()
