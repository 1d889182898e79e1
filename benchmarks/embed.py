"""Embed a folder of photographs through our path, and through a bare OpenCLIP loop with a good DataLoader.

    python benchmarks/embed.py PHOTOS [--model ViT-B-32/laion2b_s34b_b79k] [--images 1000] [--batch 64] [--workers 4]
    python benchmarks/embed.py --tiny                     # a random model and made-up JPEGs, anywhere, in seconds
    python benchmarks/embed.py --tiny --memory            # peak memory at 1,000 and 10,000 images

Both sides use the same model object, device and batch, read the same files, write the same shards, and take turns, so
that a busy machine is unfair to neither; the fastest turn of each counts. Goal: ours at 0.95 of the bare loop or more,
and a peak that does not grow with the number of images. Our path is the one of the step `index`, which also
hashes each image; the tables of records are left out on both sides.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SHARD = 512
FLAT_MEMORY = (1_000, 10_000)


def ours(encoder: Any, paths: list[Path], out: Path, arguments: argparse.Namespace) -> None:
    """Shards of rows, by the way of the step `index`."""
    from realism.base.tables import chunks
    from realism.data.rows import RecordRow
    from realism.parts.embedder import Embedder

    records = (RecordRow(str(i), str(path)) for i, path in enumerate(paths))
    shutil.rmtree(out / "embeddings", ignore_errors=True)  # nothing is embedded twice, so each turn begins anew
    embedder = Embedder(out / "embeddings", {}, encoder.encode_images)
    keys = [[row.key for row in embedder.embed(shard, "index")[0]] for shard in chunks(records, SHARD)]
    embedder.open()
    for number, shard_keys in enumerate(keys):
        np.save(out / f"img_emb_{number:05d}.npy", embedder.vectors.take(shard_keys))


def bare(encoder: Any, paths: list[Path], out: Path, arguments: argparse.Namespace) -> None:
    """Shards of rows, by a plain loop over a DataLoader with worker processes, pinned memory and prefetching."""
    import torch
    from PIL import Image

    loaded = encoder._loaded

    class Files(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            with Image.open(paths[i]) as image:
                return loaded.preprocess(image.convert("RGB"))

    cuda = loaded.device.type == "cuda"
    workers = arguments.workers
    loader = torch.utils.data.DataLoader(
        Files(), arguments.batch, num_workers=workers, pin_memory=cuda, prefetch_factor=2 if workers else None
    )

    def embedded() -> Iterator[np.ndarray]:
        with torch.inference_mode():
            for pixels in loader:
                features = loaded.model.encode_image(pixels.to(loaded.device, loaded.dtype, non_blocking=True))
                yield from torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()

    from realism.base.tables import chunks

    for number, shard in enumerate(chunks(embedded(), SHARD)):
        np.save(out / f"img_emb_{number:05d}.npy", np.stack(shard))


def photographs(folder: str | None, count: int, made: Path) -> list[Path]:
    """`count` paths: of the folder, again and again if it has fewer, or of 64 JPEGs that are made up."""
    if folder:
        found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    else:
        from realism.testing.material import picture

        for i in range(64):
            picture(i, (500, 375)).save(made / f"{i}.jpg", quality=90)
        found = sorted(made.glob("*.jpg"))
    if not found:
        sys.exit(f"no images under {folder}")
    again = made / "again"  # nothing is embedded twice, so more images than there are need names of their own
    again.mkdir(exist_ok=True)
    for i in range(len(found), count):
        (again / f"{i}.jpg").symlink_to(found[i % len(found)].absolute())
    return [*found[:count], *sorted(again.glob("*.jpg"))]


def make_encoder(arguments: argparse.Namespace, folder: Path) -> Any:
    from realism_retrievers.openclip import OpenClip

    model = arguments.model
    if arguments.tiny:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        import tiny

        model = str(tiny.openclip_folder(folder / "model"))
    encoder = OpenClip(
        model=model, device=arguments.device, dtype=arguments.dtype, batch=arguments.batch, workers=arguments.workers
    )
    encoder.encode_texts(["loaded"])
    return encoder


def speed(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = photographs(arguments.folder, arguments.images, folder)
        encoder = make_encoder(arguments, folder)
        sides = {"ours": ours, "bare": bare}
        times: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(arguments.turns + 1):  # the first warms up
            for side, embed in sides.items():
                (folder / side).mkdir(exist_ok=True)
                start = time.perf_counter()
                embed(encoder, paths, folder / side, arguments)
                if turn:
                    times[side].append(time.perf_counter() - start)
        rows = {side: np.concatenate([np.load(p) for p in sorted((folder / side).glob("*.npy"))]) for side in sides}
        cosine = (rows["ours"] * rows["bare"]).sum(1).min()
    rate = {side: len(paths) / min(those) for side, those in times.items()}
    print(f"{len(paths)} images, batch {arguments.batch}, {arguments.workers} workers, {encoder._loaded.device}")
    for side, those in times.items():
        print(f"  {side}  {rate[side]:8.1f} images/s   (turns: {', '.join(f'{t:.2f} s' for t in those)})")
    print(
        f"  ours / bare = {rate['ours'] / rate['bare']:.3f}   (goal: 0.95 or more; least cosine of rows {cosine:.6f})"
    )


def peak(arguments: argparse.Namespace, images: int) -> None:
    """In a process of its own: embed, then say the peak of resident memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "out").mkdir()
        encoder = make_encoder(arguments, folder)
        paths = photographs(arguments.folder, images, folder)
        ours(encoder, paths, folder / "out", arguments)
    print(f"  {images:6d} images: peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="photographs; made-up ones if none is named")
    parser.add_argument("--model", default="ViT-B-32/laion2b_s34b_b79k")
    parser.add_argument("--tiny", action="store_true", help="a tiny random model, which weighs reading most")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of speed")
    arguments = parser.parse_args()
    if not arguments.memory:
        return speed(arguments)
    for images in FLAT_MEMORY:
        process = multiprocessing.get_context("spawn").Process(target=peak, args=(arguments, images))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
