"""The step `concepts`: ask what a picture lacks, and retrieve an image for each thing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from realism.base.images import UnreadableImage, read_images
from realism.base.tables import chunks, read_shard
from realism.data.artifacts import Artifact, ImageIndex, PromptTable, References
from realism.data.rows import NOT_KNOWN, PromptRow, Reference, Skipped
from realism.databases.database import Database
from realism.parts import Chat, LanguageModel, Retriever, checked
from realism.parts.step import Artifacts, Step, first_arm, references_error
from realism.parts.work import Shard, Work

AT_ONCE = 16
"""Pictures in memory at a time."""
MAX_SIDE = 1024
"""Larger pictures are shrunk to this many pixels as they are read."""
MATCHES = "Does this picture show everything that the text asks for? Text: {text}\nAnswer with yes or no."
LACKS = (
    "This picture was drawn for the text: {text}\nWhich things of the text are missing in it or look wrong? Name at "
    "most {most}, one a line, and nothing else."
)
CAPTION = "Write one short caption of a photograph that shows {concept} clearly. It is meant for: {text}"


@dataclass
class Concepts(Step):
    """Retrieve what a picture lacks: a model that sees names the missing things, and each is searched by a caption.

    Prompts whose picture has everything get no reference. Source: ImageRAG (Shalev-Arkushin et al. 2025): draft, check,
    missing concepts, a caption for each, one image for each caption; the wording of the questions is ours.
    """

    language: LanguageModel
    """Answers the questions; it must take images."""
    retriever: Retriever
    """What the database was indexed with."""
    arm: str = ""
    """The pictures to look at, the first of each prompt; the first arm, if none is named."""
    most: Annotated[int, Ge(1), Le(10)] = 3
    """At most so many concepts, and so references, for each prompt."""
    name: str = "concepts"
    """What to call the references that are found."""

    scope = "recipe"

    def title(self) -> str:
        return f"concepts {self.name}"

    def options_error(self) -> str | None:
        return references_error(self.name)

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [PromptTable(), first_arm(available, self.arm), ImageIndex(self.retriever.part_name)]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [References(self.name)]

    def run(self, work: Work) -> None:
        drawn: dict[str, str] = {}
        for sample in work.read(first_arm(work.state, self.arm)):
            drawn.setdefault(sample.prompt_id, sample.image)
        database = Database.of(work.state, self.retriever)
        chances = database.shares({prompt.subject for prompt in work.read(PromptTable())})
        find = partial(self._find, database, chances, drawn, work.root)
        shards = (read_shard(path, PromptRow) for path in work.shard_paths(PromptTable()))
        work.map(References(self.name), shards, find, unit="prompts")

    def _find(
        self,
        database: Database,
        chances: Mapping[str, float],
        drawn: Mapping[str, str],
        root: Path,
        _: int,
        prompts: list[PromptRow],
    ) -> Shard:
        rows: list[Reference] = []
        skipped: list[Skipped] = []
        subjects = {prompt.id: prompt.subject for prompt in prompts}
        for some in chunks(prompts, AT_ONCE):
            found, bad = self._some(database, drawn, root, some)
            rows += [replace(row, chance=chances.get(subjects[row.prompt_id], NOT_KNOWN)) for row in found]
            skipped += bad
        return rows, skipped

    def _some(
        self, database: Database, drawn: Mapping[str, str], root: Path, prompts: list[PromptRow]
    ) -> tuple[list[Reference], list[Skipped]]:
        seen = [p for p in prompts if p.id in drawn]
        images = {}
        for prompt, image in zip(seen, read_images((root / drawn[p.id] for p in seen), max_side=MAX_SIDE), strict=True):
            if isinstance(image, UnreadableImage):
                raise image
            images[prompt.id] = image
        verdicts = self._ask([Chat(MATCHES.format(text=p.text), (images[p.id],)) for p in seen])
        skipped = [
            Skipped(p.id, self.title(), f"neither yes nor no: {reply[:200]!r}")
            for p, reply in zip(seen, verdicts, strict=True)
            if yes_or_no(reply) is None
        ]
        lacking = [p for p, reply in zip(seen, verdicts, strict=True) if yes_or_no(reply) is False]
        lists = self._ask([Chat(LACKS.format(text=p.text, most=self.most), (images[p.id],)) for p in lacking])
        wanted = [(p, c) for p, reply in zip(lacking, lists, strict=True) for c in lines(reply)[: self.most]]
        captions = self._ask([Chat(CAPTION.format(concept=c, text=p.text)) for p, c in wanted])
        return self._references(database, wanted, captions), skipped

    def _ask(self, chats: Sequence[Chat]) -> list[str]:
        return checked.reply(self.language, chats) if chats else []

    def _references(
        self, database: Database, wanted: Sequence[tuple[PromptRow, str]], captions: Sequence[str]
    ) -> list[Reference]:
        found = database.search(self.retriever, captions, 1) if captions else []
        rows: list[Reference] = []
        ranks: dict[str, set[str]] = {}
        for (prompt, concept), caption, hits in zip(wanted, captions, found, strict=True):
            given = ranks.setdefault(prompt.id, set())
            for hit in hits:
                if hit.record.id not in given:  # two concepts may find one image
                    metadata = {**hit.record.metadata, "concept": concept, "searched": caption}
                    rows.append(
                        Reference(
                            prompt.id, len(given), hit.record.id, str(hit.record.path), hit.similarity,
                            hit.record.subject, metadata,
                        )
                    )  # fmt: skip
                    given.add(hit.record.id)
        return rows


def yes_or_no(reply: str) -> bool | None:
    """What a reply begins with; None if with neither."""
    found = re.match(r"\W*(yes|no)\b", reply, re.IGNORECASE)
    return None if found is None else found[1].lower() == "yes"


def lines(reply: str) -> list[str]:
    """The things a reply lists, one a line, without bullets and numbers, each once."""
    bare = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line).strip() for line in reply.splitlines()]
    return list(dict.fromkeys(line for line in bare if line))
