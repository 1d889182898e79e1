"""Databases of a few small pictures, in the files and folders in which the real ones come."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import tiny


def save(path: Path, seed: int = 0) -> Path:
    """A picture at `path`, with the folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tiny.picture(seed, (40, 36)).save(path)
    return path


def encoded(seed: int, kind: str = "JPEG") -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    tiny.picture(seed, (40, 36)).save(buffer, kind)
    return buffer.getvalue()


def mat(path: Path, **variables: Any) -> Path:
    """A MATLAB file. Lists of texts become cells, (n, 1), as the real lists have them."""
    import numpy as np
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    for name, value in variables.items():
        if isinstance(value, list) and value and isinstance(value[0], str):
            variables[name] = np.array(value, dtype=object).reshape(-1, 1)
    savemat(path, variables)
    return path


def tar(path: Path, members: dict[str, bytes | str | dict[str, Any]]) -> Path:
    """A plain tar; a text is written as UTF-8, an object as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            text = json.dumps(content) if isinstance(content, dict) else content
            raw = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def table(folder: Path) -> Path:
    """photos.csv, and the three images it names."""
    lines = ["file,subject,caption,licence"]
    for i in range(3):
        save(folder / "images" / f"{i}.png", i)
        lines.append(f"images/{i}.png,subject {i % 2},picture {i},CC0")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")
    return folder


def shards(folder: Path, count: int = 2, each: int = 3) -> Path:
    """WebDataset shards 00000.tar, ...: images with captions and metadata."""
    for s in range(count):
        members: dict[str, Any] = {}
        for i in range(each):
            key = f"{s * each + i:06d}"
            members |= {
                f"{key}.jpg": encoded(s * each + i),
                f"{key}.txt": f"picture {key}\n",
                f"{key}.json": {"subject": f"subject {i % 2}", "source": f"https://example.org/{key}"},
            }
        tar(folder / f"{s:05d}.tar", members)
    return folder


def dogs(folder: Path) -> Path:
    """Stanford Dogs of two breeds: two images each to train, one to test."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for wnid, breed in (("n02085620", "Chihuahua"), ("n02098105", "soft-coated_wheaten_terrier")):
        for i in range(3):
            name = f"{wnid}-{breed}/{wnid}_{i}.jpg"
            save(folder / "Images" / name, i)
            lists["test" if i == 2 else "train"].append(name)
    for split, names in lists.items():
        mat(folder / "lists" / f"{split}_list.mat", file_list=names)
    return folder


def flowers102(root: Path, labels: tuple[int, ...] = (1, 1, 2, 77, 102)) -> Path:
    """Flowers 102 with one image a label; the last is the test set, the one before the validation set. torchvision
    knows the real lists by their MD5: patch its `_file_dict`."""
    folder = root / "flowers-102"
    for i in range(len(labels)):
        save(folder / "jpg" / f"image_{i + 1:05d}.jpg", i)
    n = len(labels)
    mat(folder / "imagelabels.mat", labels=list(labels))
    mat(folder / "setid.mat", trnid=list(range(1, n - 1)), valid=[n - 1, n - 1], tstid=[n, n])
    return root


def stanford_cars(root: Path, names: tuple[str, ...] = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")) -> Path:
    """Stanford Cars with two images a class and split."""
    import numpy as np

    folder = root / "stanford_cars"
    kind = [("fname", object), ("class", object)]
    for split, list_file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = []
        for i in range(2 * len(names)):
            save(folder / f"cars_{split}" / f"{i + 1:05d}.jpg", i)
            rows.append((f"{i + 1:05d}.jpg", i % len(names) + 1))
        mat(folder / list_file, annotations=np.array(rows, dtype=kind).reshape(1, -1))
    mat(folder / "devkit" / "cars_meta.mat", class_names=np.array(names, dtype=object).reshape(1, -1))
    return root


def imagenet(root: Path) -> Path:
    """ImageNet of two classes, with the file of names that torchvision makes."""
    import torch

    for i, wnid in enumerate(("n01440764", "n03126707")):
        save(root / "train" / wnid / f"{wnid}_{i}.JPEG", i)
        save(root / "val" / wnid / f"ILSVRC2012_val_0000000{i}.JPEG", i + 5)
    names = {"n01440764": ("tench", "Tinca tinca"), "n03126707": ("crane",)}
    torch.save((names, ["n01440764", "n03126707"]), root / "meta.bin")
    return root
