"""Data sets that torchvision knows how to read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from realism.base.errors import RealismError
from realism.base.files import user_path
from realism.base.text_files import numbered_lines
from realism.data.types import Record
from realism.sources.listed import ListedImages, inside


@dataclass(frozen=True)
class Layout:
    """A data set: its class in torchvision, what must lie below the root for each split, its site, how to get it."""

    name: str
    needs: dict[str, tuple[str, ...]]
    source: str
    advice: str


FLOWERS = ("flowers-102/jpg", "flowers-102/setid.mat", "flowers-102/imagelabels.mat")
LAYOUTS = {
    "imagenet": Layout(
        "ImageNet",
        {"train": ("train", "meta.bin"), "val": ("val", "meta.bin")},
        "https://image-net.org/",
        "torchvision.datasets.ImageNet(root, split) makes it once from the archives of its site",
    ),
    "stanford_cars": Layout(
        "StanfordCars",
        {
            "train": ("stanford_cars/cars_train", "stanford_cars/devkit"),
            "test": ("stanford_cars/cars_test", "stanford_cars/cars_test_annos_withlabels.mat", "stanford_cars/devkit"),
        },
        "https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
        "its site is gone and torchvision cannot download it, so bring a copy laid out as docs/databases.md shows",
    ),
    "flowers102": Layout(
        "Flowers102",
        {"train": FLOWERS, "val": FLOWERS, "test": FLOWERS},
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        "torchvision.datasets.Flowers102(root, download=True) fetches it",
    ),
}


@dataclass
class TorchvisionDataset(ListedImages):
    """ImageNet, Stanford Cars or Flowers 102, on disk as torchvision's classes want them.

    Nothing is downloaded and nothing unpacked. The subject is the name of the class, of ImageNet's synonyms the first.
    """

    dataset: Literal["imagenet", "stanford_cars", "flowers102"]
    """Which one."""
    root: str
    """What torchvision calls so: the folder that holds flowers-102 or stanford_cars, or ImageNet's train, val and
    meta.bin."""
    split: str = "train"
    """train or val of ImageNet, train or test of Stanford Cars, train, val or test of Flowers 102."""
    classes: str | None = None
    """A file with names to use instead, one a line, in the order of the classes. ImageNet calls two classes "crane" and
    two "maillot"."""

    @property
    def folder(self) -> Path:
        """The root, with "~" resolved."""
        return user_path(self.root)

    def inputs(self) -> list[Path]:
        names = [user_path(self.classes)] if self.classes else []
        return [self.folder / need for need in LAYOUTS[self.dataset].needs[self.split]] + names

    def problem(self) -> str | None:
        layout = LAYOUTS[self.dataset]
        if self.split not in layout.needs:
            return f"{self.dataset} has no split '{self.split}'; available: {', '.join(layout.needs)}"
        if missing := next((path for path in self.inputs() if not path.exists()), None):
            is_names = self.classes and missing == user_path(self.classes)
            return f"no file '{missing}' with the names of classes" if is_names else f"no '{missing}'; {layout.advice}"
        return None

    def listed(self) -> Iterator[Record]:
        data = self._open()
        names = self._names(data.classes)
        for number in range(len(data)):
            path, label = data[number]
            file = inside(self.folder, os.path.relpath(path, self.folder))
            metadata = {"label": int(label), "source": LAYOUTS[self.dataset].source}
            yield Record(file.relative_to(self.folder).as_posix(), file, names[label], metadata)
        if not len(data):
            raise RealismError(f"no image of {self.dataset}, split {self.split}, in '{self.root}'")

    def _open(self) -> Any:
        """torchvision's data set, which gives paths where it would give images."""
        import torchvision

        layout = LAYOUTS[self.dataset]
        try:
            return getattr(torchvision.datasets, layout.name)(str(self.folder), split=self.split, loader=str)
        except Exception as error:  # theirs, and scipy's for damaged lists
            reason = f"{error}".split(". ")[0]  # what follows is advice to programmers
            raise RealismError(
                f"torchvision cannot read {self.dataset} in '{self.root}': {reason}; get it anew from {layout.source}"
            ) from error

    def _names(self, classes: Sequence[str | tuple[str, ...]]) -> list[str]:
        """The name of each class. Raises RealismError if the user's file has more or fewer."""
        if not self.classes:
            return [name if isinstance(name, str) else name[0] for name in classes]
        names = [line.strip() for _, line in numbered_lines(user_path(self.classes)) if line.strip()]
        if len(names) != len(classes):
            raise RealismError(f"'{self.classes}' has {len(names)} names; {self.dataset} has {len(classes)} classes")
        return names
