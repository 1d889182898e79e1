"""A part by its name, with a method that takes what people have at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import fields
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from realism.base.errors import RealismError, shown
from realism.base.files import user_path
from realism.data.types import Hit, Picture, Record, Request, Unmade
from realism.notebook.inputs import images_of, is_several, prompts_of
from realism.notebook.shown import Gallery, table
from realism.parts import Chat, Generator, Images, LanguageModel, Part, Retriever, Reward, Scores, checked
from realism.plugins.manager import plugins
from realism.recipe.parts import PartMaker
from realism.recipe.source import Source

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
SHARD = 256
"""Images of a collection that are held at a time."""


def part(name: str, **options: Any) -> Handle:
    """See `realism.part`. An option that takes a part takes another handle, a name, or `{"use": NAME, ...}`. All that
    the part itself has can be reached through the handle, and the part is its `part`."""
    registry = plugins().registry
    source = Source({})
    made = PartMaker(source, registry).spec({"use": name} | {k: _bare(v) for k, v in options.items()}, (), Part, name)
    if made is None:
        messages = (f"{p.key}: {p.message}" if p.key not in ("", "use") else p.message for p in source.problems)
        hints = (p.hint for p in source.problems if p.hint)
        raise RealismError("; ".join([*messages, *dict.fromkeys(hints)]))
    kinds = {
        Reward: RewardHandle,
        Generator: GeneratorHandle,
        Retriever: RetrieverHandle,
        LanguageModel: LanguageHandle,
    }
    return next((handle for kind, handle in kinds.items() if isinstance(made, kind)), Handle)(made)


def _some(items: list[T], noun: str) -> list[T]:
    if not items:
        raise RealismError(f"nothing was given; expected {noun}, or several")
    return items


def _require_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise RealismError(f"{name}: {shown(value)} is not allowed: expected a whole number, {least} or more")


def _bare(value: Any) -> Any:
    if isinstance(value, Handle):
        return value.part
    return [_bare(one) for one in value] if isinstance(value, list | tuple) else value


class Handle:
    """A part that was made; what it has itself is reached through it."""

    def __init__(self, part: Part):
        self.part = part

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "part":
            raise AttributeError(name)
        return getattr(self.part, name)

    def __repr__(self) -> str:
        return repr(self.part)

    def _repr_html_(self) -> str:
        own = {f.name: getattr(self.part, f.name) for f in fields(self.part) if f.init}  # type: ignore[arg-type]
        return table(f"{self.part.family} {self.part.part_name}", own)


class RewardHandle(Handle):
    """A reward."""

    part: Reward

    def score(self, images: Any, prompts: Any = "", references: Any = ()) -> Scores:
        """The scores of images: one or several, in any form that `realism.notebook.inputs.images_of` takes, each with
        its prompt, or with the one prompt of all. references: of every image, for a reward that compares with them."""
        judged_images, compared = images_of(images), tuple(images_of(references))
        if self.part.uses_references and not compared:
            raise RealismError(f"'{self.part.part_name}' compares with references: give 'references'")
        texts = prompts_of(prompts, len(judged_images))
        pictures = [Picture(image, prompt, compared) for image, prompt in zip(judged_images, texts, strict=True)]
        return checked.score(self.part, pictures)


class GeneratorHandle(Handle):
    """A generator."""

    part: Generator

    def draw(self, prompts: Any, seed: int = 0, references: Any = ()) -> Any:
        """The picture of a text, or those of several texts, which have the seeds `seed`, `seed + 1`, ...

        references: for each of them, as many as the generator takes. Raises RealismError for a picture that was not
        made."""
        texts, shared = prompts_of(prompts), tuple(images_of(references))
        _require_whole("seed", seed, 0)
        if len(shared) > (most := self.part.max_references):
            raise RealismError(f"'{self.part.part_name}' takes {most} reference(s) at most, not {len(shared)}")
        images = checked.generate(self.part, [Request(prompt, seed + i, shared) for i, prompt in enumerate(texts)])
        for prompt, image in zip(texts, images, strict=True):
            if isinstance(image, Unmade):
                raise RealismError(f"no picture was made of '{prompt.text}': {image.reason}")
        return Gallery(images, [prompt.text for prompt in texts]) if is_several(prompts) else images[0]


class LanguageHandle(Handle):
    """A language model."""

    part: LanguageModel

    def reply(self, text: str, images: Any = (), system: str = "") -> str:
        """The reply to a text, with images if there are some."""
        return checked.reply(self.part, [Chat(text, tuple(images_of(images)), system)])[0]


class RetrieverHandle(Handle):
    """A retriever."""

    part: Retriever

    def encode_images(self, images: Any) -> np.ndarray:
        """One or several images -> (n, d) float32, each row of length 1."""
        return self.part.encode_images(_some(images_of(images), "an image"))

    def encode_texts(self, texts: Any) -> np.ndarray:
        """A text or several -> (n, d) float32, each row of length 1."""
        return checked.encode_texts(self.part, _some([prompt.text for prompt in prompts_of(texts)], "a text"))

    def index(self, images: Any) -> Collection:
        """All images below a folder, or of a source of images (`realism.part("webdataset", ...)`), to be searched. What
        cannot be read is left out; `Collection.left_out` has why."""
        from realism.sources.image_folder import ImageFolder

        source = _bare(images)
        return Collection(self.part, source if isinstance(source, Images) else ImageFolder(str(user_path(str(images)))))


class Collection:
    """Images of a source, embedded and searchable."""

    def __init__(self, retriever: Retriever, images: Images):
        self._retriever = retriever
        self._place = tempfile.TemporaryDirectory(prefix="realism-index-")
        self.records: list[Record] = []
        """The images, in the order of the index."""
        self.left_out: dict[str, str] = {}
        """The ids of images that could not be read, and why."""
        retriever.index.build(self._rows(images), Path(self._place.name))
        if not self.records:
            why = next(iter(self.left_out.values()), "there is none")
            raise RealismError(f"no image of {images!r} can be read: {why}")

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"{len(self)} images, searched by {self._retriever.part_name}"

    def search(self, query: Any, k: int = 3) -> Found:
        """The k images that are nearest to a text, or to an image (a string is a text, a Path an image), best first."""
        _require_whole("k", k, 1)
        if isinstance(query, str):
            queries = checked.encode_texts(self._retriever, [query])
        else:
            queries = self._retriever.encode_images(_some(images_of(query), "a text or an image")[:1])
        place = Path(self._place.name)
        similarities, rows = checked.search(self._retriever.index, place, queries, min(k, len(self)), len(self))
        pairs = zip(similarities[0].tolist(), rows[0].tolist(), strict=True)
        return Found([Hit(self.records[row], similarity) for similarity, row in pairs if row >= 0])

    def _rows(self, images: Images) -> Iterator[np.ndarray]:
        from realism.base.images import UnreadableImage, read_images
        from realism.base.tables import chunks
        from realism.parts.embedder import MAX_SIDE

        for records in chunks(checked.records(images), SHARD):
            read = list(read_images((record.path for record in records), max_side=MAX_SIDE))
            good = [(r, i) for r, i in zip(records, read, strict=True) if not isinstance(i, UnreadableImage)]
            self.left_out |= {
                r.id: i.reason for r, i in zip(records, read, strict=True) if isinstance(i, UnreadableImage)
            }
            if good:
                self.records += [record for record, _ in good]
                yield self._retriever.encode_images([image for _, image in good])


class Found(list[Hit]):
    """What was found: hits, shown side by side in a notebook."""

    def __repr__(self) -> str:
        return "\n".join(self._captions()) or "nothing"

    def _repr_html_(self) -> str:
        return Gallery(images_of(self), self._captions())._repr_html_()

    def _captions(self) -> list[str]:
        return [f"{hit.record.id} ({hit.similarity:.3f})" for hit in self]
