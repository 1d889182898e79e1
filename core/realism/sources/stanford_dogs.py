"""Images in the layout of Stanford Dogs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realism.base.errors import RealismError
from realism.data.types import Record
from realism.sources.listed import SUFFIXES, AtPath, ListedImages, inside

SOURCE = "http://vision.stanford.edu/aditya86/ImageNetDogs/"


@dataclass
class StanfordDogs(AtPath, ListedImages):
    """Stanford Dogs as it unpacks: Images/n02085620-Chihuahua/*.jpg, and train_list.mat and test_list.mat beside Images
    or in a folder lists. The subject is the breed, with spaces for underscores: "Blenheim spaniel".
    """

    path: str
    """The folder that holds Images, absolute or relative to the working folder."""
    split: Literal["train", "test", "all"] = "train"
    """Which list names the images; all needs no list."""

    @property
    def list_file(self) -> Path:
        """The list of the split, where it is if it is there."""
        name = f"{self.split}_list.mat"
        return next((p for p in (self.place / "lists" / name, self.place / name) if p.is_file()), self.place / name)

    def inputs(self) -> list[Path]:
        return [self.place / "Images", *([] if self.split == "all" else [self.list_file])]

    def problem(self) -> str | None:
        if not (self.place / "Images").is_dir():
            return f"no folder 'Images' in '{self.path}'; it should hold n02085620-Chihuahua and the other breeds"
        if self.split != "all" and not self.list_file.is_file():
            return f"no {self.list_file.name} in '{self.path}' or its folder lists; split: all needs none"
        return None

    def listed(self) -> Iterator[Record]:
        images = self.place / "Images"
        name = None
        for name in _walk(images) if self.split == "all" else _list(self.list_file):
            wnid, dash, breed = Path(name).parent.name.partition("-")
            if not dash:
                raise RealismError(f"'{name}' in '{images}' is in no folder like n02085620-Chihuahua; move it into one")
            yield Record(name, inside(images, name), breed.replace("_", " "), {"wnid": wnid, "source": SOURCE})
        if name is None:
            raise RealismError(f"no image in '{images}'; looked for {', '.join(SUFFIXES)}")


def _walk(folder: Path) -> Iterator[str]:
    for breed in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(p for p in breed.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")):
            yield path.relative_to(folder).as_posix()


def _list(path: Path) -> list[str]:
    """The entries of a list: texts such as n02085620-Chihuahua/n02085620_5927.jpg."""
    import numpy as np
    from scipy.io import loadmat

    try:
        return [str(name) for name in np.ravel(loadmat(path, squeeze_me=True)["file_list"])]
    except KeyError:
        raise RealismError(f"{path}: no variable 'file_list' in it; take the list of Stanford Dogs") from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise RealismError(f"{path}: not a list of Stanford Dogs: {error}") from error
