"""How often each image goes through each encoder in a run of garden/realrag, and the peak memory of the run.

An encoder is an OpenCLIP model with its options, whatever the recipe calls it; an image is its pixels. Goal: once.
Run: .venv/bin/python benchmarks/encoders.py [recipe] [key=value ...]
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from realism.base.duplicates import pixel_hash
from realism.plugins.manager import plugins
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run
from realism_retrievers.openclip import OpenClip


def main() -> None:
    """Run the recipe and print what each encoder was given."""
    name, *overrides = sys.argv[1:] or ["garden/realrag", "seeds=1"]
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    embed = OpenClip.embed_images

    def counting(self, images):
        seen[self.model].update(pixel_hash(image) for image in images)
        return embed(self, images)

    OpenClip.embed_images = counting
    with tempfile.TemporaryDirectory() as folder:
        Run(read_recipe(name, overrides, plugins().registry), Path(folder) / "run", plugins(), View()).execute()
    for model, counts in seen.items():
        total, most = sum(counts.values()), max(counts.values())
        print(f"{model:<16} {total:>7,} images embedded, {len(counts):>7,} different, one at most {most} times")
    print(f"peak memory      {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
