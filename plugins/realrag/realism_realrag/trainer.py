"""The trainer `reflective`: self-reflective contrastive learning of a retriever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.data.artifacts import Artifact, ImageIndex
from realism.databases.database import Database
from realism.parts import Trainer
from realism.parts.step import Artifacts
from realism.parts.work import Work

from .losses import Form
from .projected import FILE, Projected
from .tables import Negative, Negatives
from .texts import template_error, text_of

if TYPE_CHECKING:
    import lightning
    from torch.utils.data import DataLoader


@dataclass
class Reflective(Trainer):
    """Trains a retriever's MLP to find what a text names rather than what the generator would draw of it.

    Both encoders are frozen: the MLP learns on the vectors of the index, so no image is opened. With negatives: none
    it is plain contrastive learning, the paper's normal RAG. Source: RealRAG (Lyu et al. 2025) section 3.1;
    temperature, learning rate, batch and number of epochs are not stated there.
    """

    retriever: Projected
    """What learns; the database must be indexed with its encoder."""
    negatives: Literal["reflective", "none"] = "reflective"
    """Besides the other images of the batch: the mined negative of each image, or none."""
    form: Form = "infonce"
    """How the loss is read; see `realism_realrag.losses.reflective_loss`."""
    temperature: Annotated[float, Gt(0)] = 0.07
    """tau of eq. 7 and 8."""
    text: str = "a photo of a {subject}"
    """The text of a database image, its positive: columns in braces, such as {subject} or {caption}."""
    epochs: Annotated[int, Ge(1), Le(100_000)] = 10
    """How often each image is seen."""
    batch_size: Annotated[int, Ge(2), Le(100_000)] = 64
    """Images at a time, about: no two with the same text, as each would be a false negative of the other, so there are
    fewer where texts are few."""
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    """Learning rate of AdamW."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW."""

    checkpoint_every: ClassVar[int | None] = None

    @property
    def trains(self) -> Projected:
        return self.retriever

    def options_error(self) -> str | None:
        return template_error(self.text)

    def length(self, batches: int) -> int:
        return self.epochs * batches

    @property
    def _encoder(self) -> str:
        return self.retriever.encoder.part_name

    def reads(self, available: Artifacts) -> list[Artifact]:
        mined = [Negatives(self._encoder)] if self.negatives == "reflective" else []
        return [ImageIndex(self._encoder), *mined]

    def module(self) -> lightning.LightningModule:
        from .reflective_module import ReflectiveModule

        return ReflectiveModule(
            self.retriever.mlp(), self.temperature, self.form, self.learning_rate, self.weight_decay
        )

    def data(self, work: Work) -> DataLoader[Any]:
        from torch.utils.data import DataLoader

        from .reflective_module import DistinctTexts, Pairs

        database = Database.of(work.state, self.retriever.encoder)
        mined = None
        if self.negatives == "reflective":
            mined = {row.row: row for row in work.read(Negatives(self._encoder))}
        texts, of_row = _texts(self.text, database, mined)
        if len(texts) < 2:
            raise RealismError(f"{self.part_name}: all images have the text '{next(iter(texts), '')}'; two are needed")
        vectors = self.retriever.encoder.encode_texts(list(texts))
        negatives = None if mined is None else {row: negative.negative_row for row, negative in mined.items()}
        pairs = Pairs(database.folder, vectors, of_row, negatives)
        batches = DistinctTexts([at for _, at in of_row], self.batch_size, self.retriever.trained)
        return DataLoader(pairs, sampler=batches, batch_size=None)

    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = module.get_submodule("mlp").state_dict()
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}, folder / FILE)


def _texts(
    template: str, database: Database, mined: Mapping[int, Negative] | None
) -> tuple[dict[str, int], list[tuple[int, int]]]:
    """The different texts, each with its number; and of each row that is used, the row and its text's number.

    Raises RealismError if a negative was mined for another text.
    """
    texts: dict[str, int] = {}
    of_row = []
    for row, record in enumerate(database.rows()):
        if mined is not None and row not in mined:  # it was skipped
            continue
        text = text_of(template, record)
        if mined is not None and (
            record.id != mined[row].id or database.record(mined[row].negative_row).id != mined[row].negative_id
        ):
            raise RealismError(
                "the negatives were mined in another database: put 'reflect' after the last 'index' with this encoder"
            )
        if mined is not None and mined[row].text != text:
            raise RealismError(
                f"text '{template}' gives '{text}', but 'reflect' drew '{mined[row].text}': give both the same 'text'"
            )
        of_row.append((row, texts.setdefault(text, len(texts))))
    return texts, of_row
