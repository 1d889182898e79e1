"""A database holds what may be retrieved: nothing that is evaluated against, nothing twice, by one encoder."""

from __future__ import annotations

import csv
import importlib
import json
import os
from pathlib import Path

import kill
import numpy as np
import pandas as pd
import pytest
import toys
from PIL import Image, ImageOps
from realism import RealismError
from realism.data.artifacts import ImageIndex
from realism.data.condition import Condition
from realism.data.state import State
from realism.databases.database import Database

RECIPE = """\
parts:
  database: {use: image_folder, path: DATABASE}
  held_out: {use: image_folder, path: DATABASE/../held_out, labels: none}
  retriever: {use: toy_retriever}
  generator: {use: toy}
prompts: {use: toy_prompts}
steps:
  - index: {images: database}
  - retrieve: {k: 100}
  - generate: {}
  - evaluate: {metrics: [toy_distance], real: held_out}
"""
INDEX = """\
parts:
  database: {use: image_folder, path: DATABASE}
  retriever: {use: toy_retriever}
steps:
  - index: {}
"""


def photo(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """A picture with coarse and fine detail: no two seeds look alike."""
    random = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for octave in range(4):
        rough = random.integers(0, 256, (5 << octave, 6 << octave, 3), np.uint8)
        total += np.asarray(Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC), float) / 1.6**octave
    return Image.fromarray((255 * (total - total.min()) / (total.max() - total.min())).astype(np.uint8))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Twelve pictures."""
    folder = tmp_path / "database"
    (folder / "rose").mkdir(parents=True)
    for i in range(12):
        photo(i).save(folder / "rose" / f"{i:02d}.png")
    return folder


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """Six other pictures, some of the same names."""
    folder = tmp_path / "held_out"
    (folder / "rose").mkdir(parents=True)
    for i in range(6):
        photo(100 + i).save(folder / "rose" / f"{i:02d}.png")
    return folder


@pytest.fixture
def leaky(database: Path, held_out: Path) -> dict[str, str]:
    """Pictures that are evaluated against, put into the database in all disguises: id -> how it is found out."""
    rose = database / "rose"
    (rose / "link.png").symlink_to(held_out / "rose" / "00.png")
    (rose / "copy.png").write_bytes((held_out / "rose" / "01.png").read_bytes())
    photo(102).save(rose / "saved-anew.webp", lossless=True)
    photo(103).save(rose / "compressed.jpg", quality=40)
    photo(104).resize((64, 53)).save(rose / "small.png")
    return {
        "rose/link.png": "rose/00.png of 'held_out', which is evaluated against (the same file)",
        "rose/copy.png": "rose/01.png of 'held_out', which is evaluated against (the same pixels)",
        "rose/saved-anew.webp": "rose/02.png of 'held_out', which is evaluated against (the same pixels)",
        "rose/compressed.jpg": "rose/03.png of 'held_out', which is evaluated against (nearly the same: cosine ",
        "rose/small.png": "rose/04.png of 'held_out', which is evaluated against (nearly the same: cosine ",
    }


def index_of(run) -> Path:
    return run.folder / next(step.folder for step in run.steps if step.title.startswith("index ")) / "index/retriever"


def skipped_rows(run) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in csv.DictReader((run.folder / "skipped.csv").open())}


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many images each call of the encoder was given."""
    counts: list[int] = []
    encode = toys.ToyRetriever.embed_images

    def counting(self, images):
        counts.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(toys.ToyRetriever, "embed_images", counting)
    return counts


def test_an_image_that_is_evaluated_against_is_never_retrieved(run, write_recipe, leaky):
    done = run(write_recipe(RECIPE))
    reasons = skipped_rows(done)
    assert set(reasons) == set(leaky)
    assert all(reasons[id].startswith(f"leak: it is image {said}") for id, said in leaky.items())
    retrieved = set(pd.read_parquet(next(done.folder.glob("steps/retrieve-*")) / "references").id)
    assert retrieved == {f"rose/{i:02d}.png" for i in range(12)}
    assert "LEAKS: 5 of 17 images of 'database'" in (done.folder / "log.txt").read_text()
    assert json.loads((index_of(done) / "manifest.json").read_text())["left_out"] == {"leaks": 5, "duplicates": 0}


def sides(self, images):
    """Vectors that turn around when an image is mirrored: the right half's colours less the left's."""
    small = np.stack([np.asarray(i.resize((2, 1), Image.Resampling.BOX), np.float32)[0] for i in images])
    rows = small[:, 1] - small[:, 0] + 0.01
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_mirrored_copies_are_found_whatever_the_encoder_makes_of_them(
    run, write_recipe, database, held_out, monkeypatch
):
    monkeypatch.setattr(toys.ToyRetriever, "embed_images", sides)
    ImageOps.mirror(photo(100)).save(database / "rose" / "mirrored.png")
    ImageOps.mirror(photo(101)).resize((72, 60)).save(database / "rose" / "small.jpg", quality=70)
    ImageOps.mirror(photo(0)).save(database / "rose" / "of-our-own.png")  # of an image of the database
    reasons = skipped_rows(run(write_recipe(RECIPE)))
    assert set(reasons) == {"rose/mirrored.png", "rose/small.jpg"}
    start = "leak: it is image rose/0{}.png of 'held_out', which is evaluated against (mirrored, and nearly the same: "
    assert reasons["rose/mirrored.png"].startswith(start.format(0))
    assert reasons["rose/small.jpg"].startswith(start.format(1))


def test_plain_pictures_of_other_colours_are_no_leak(run, write_recipe, database, held_out):
    Image.new("RGB", (40, 40), "red").save(database / "rose" / "red.png")
    Image.new("RGB", (40, 40), "blue").save(held_out / "rose" / "blue.png")
    assert not skipped_rows(run(write_recipe(RECIPE)))


def test_a_changed_set_of_evaluation_images_is_looked_for_anew(run, write_recipe, leaky, held_out, encoded):
    run(write_recipe(RECIPE))
    encoded.clear()
    photo(5).save(held_out / "rose" / "new.png")
    done = run(write_recipe(RECIPE))
    assert skipped_rows(done)["rose/05.png"].startswith("leak: it is image rose/new.png of 'held_out'")
    assert [step.kept for step in done.steps if step.title.startswith("index ")] == [False]


def test_an_equal_id_of_another_image_is_no_leak(run, write_recipe, held_out):
    done = run(write_recipe(RECIPE))
    assert len(Database(index_of(done))) == 12 and not skipped_rows(done)


def test_a_leak_stops_the_run_where_the_recipe_says_so(run, write_recipe, leaky):
    stopping = RECIPE.replace("{images: database}", "{images: database, leaks: stop}")
    with pytest.raises(RealismError, match=r"index: 5 images of 'database' are evaluated against, the first: leak"):
        run(write_recipe(stopping))
    allowing = RECIPE.replace("{images: database}", "{images: database, leaks: allow}")
    assert len(Database(index_of(run(write_recipe(allowing), out="allowed")))) == 17


def test_a_database_that_is_all_leaks_is_refused(run, write_recipe, held_out):
    recipe = RECIPE.replace("path: DATABASE}", "path: DATABASE/../held_out}")
    with pytest.raises(RealismError, match="of 'database' no image is left"):
        run(write_recipe(recipe))


def test_only_new_images_are_embedded_when_the_database_has_grown(run, write_recipe, database, encoded):
    run(write_recipe(INDEX))
    assert sum(encoded) == 12
    photo(50).save(database / "rose" / "00-new.png")
    photo(51).save(database / "rose" / "03.png")  # another picture under an old name
    grown = run(write_recipe(INDEX))
    assert sum(encoded) == 14
    fresh = run(write_recipe(INDEX), out="fresh")
    assert kill.contents(index_of(grown)) == kill.contents(index_of(fresh))


def test_near_duplicates_are_left_out_and_are_no_failures(run, write_recipe, database):
    for i in range(12):
        photo(i).save(database / "rose" / f"{i:02d}-again.jpg", quality=60)
    recipe = INDEX.replace("index: {}", "index: {duplicates: drop}") + "limits: {skipped: 0}\n"
    done = run(write_recipe(recipe))
    kept = [row.id for row in Database(index_of(done)).rows()]
    assert len(kept) == 12 and all(id.endswith("-again.jpg") for id in kept)  # the first by name
    assert skipped_rows(done)["rose/00.png"] == "near-duplicate of rose/00-again.jpg"
    assert not list(done.folder.glob("steps/*/all"))


@pytest.mark.parametrize(
    ("owner", "method", "calls"),
    [
        ("realism.parts.embedder.Embedder", "embed", 3),
        ("realism.parts.embedder.Embedder", "hash_images", 2),
        ("realism.databases.leaks.Leaks", "among", 2),
        ("realism.databases.indexing.Encoded", "vectors", 11),
        ("toys.ToyIndex", "build", 2),
    ],
)
def test_an_index_that_was_stopped_goes_on_and_ends_as_if_it_had_not(
    run, write_recipe, leaky, monkeypatch, encoded, owner, method, calls
):
    monkeypatch.setattr("realism.steps.index.SHARD", 4)
    monkeypatch.setattr("realism.databases.indexing.SHARD", 4)
    recipe = write_recipe(RECIPE.replace("{images: database}", "{images: database, duplicates: drop}"))
    calm = run(recipe, out="calm")
    whole = sum(encoded)
    encoded.clear()
    with monkeypatch.context() as stopping:
        module, _, name = owner.rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        do, left = getattr(cls, method), iter(range(calls - 1))

        def stop(*arguments, **options):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return do(*arguments, **options)

        stopping.setattr(cls, method, stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, out="stopped")
    assert kill.contents(run(recipe, out="stopped").folder) == kill.contents(calm.folder)
    assert sum(encoded) == whole


def test_a_query_by_another_encoder_is_refused(run, write_recipe):
    class OtherRetriever(toys.ToyRetriever):
        part_name = "other"

    database = Database(index_of(run(write_recipe(INDEX))))
    with pytest.raises(RealismError, match=r"indexed with 'retriever' and cannot be searched with 'other'.*index it"):
        database.search(OtherRetriever(index=toys.ToyIndex()), ["a red square"], 1)
    same = toys.ToyRetriever(index=toys.ToyIndex())
    same.part_name = "by another name"
    assert len(database.search(same, ["a red square"], 3)[0]) == 3


def test_a_retriever_that_has_learnt_since_is_refused(run, write_recipe):
    done = run(write_recipe(INDEX))
    retriever = done.recipe.parts["retriever"]
    state = State().after({ImageIndex("retriever"): index_of(done)}, "made")
    assert Database.of(state, retriever).search(retriever, ["a red square"], 1)
    trained = Database(index_of(done), trained={"retriever": "other"})
    with pytest.raises(RealismError, match=r"before 'retriever' was trained as it is now; put a step 'index' between"):
        trained.search(retriever, ["a red square"], 1)


def test_a_condition_may_name_what_only_later_images_have(run, write_recipe, database, monkeypatch):
    monkeypatch.setattr("realism.steps.index.SHARD", 4)
    (database / "metadata.csv").write_text("file,licence\nrose/11.png,CC0\n")
    made = Database(index_of(run(write_recipe(INDEX))))
    assert made.allowed(Condition("licence == 'CC0'")).nonzero()[0].tolist() == [11]
    assert made.record(11).id == "rose/11.png" and made.record(0).id == "rose/00.png"
    with pytest.raises(RealismError, match="names 'licenc'; available: id, licence, path, subject; did you mean"):
        made.allowed(Condition("licenc == 'CC0'"))
    with pytest.raises(RealismError, match="no image of the database meets"):
        made.allowed(Condition("licence == 'GPL'"))


FOLDER = "use: embedding_folder, path: DATABASE/../laion, encoder: toys"
EMBEDDED = INDEX.replace("use: image_folder, path: DATABASE", FOLDER)


def write_embeddings(folder: Path, database: Path, dtype=np.float16, width: int = 3) -> None:
    """What clip-retrieval writes for the pictures of the database, in two files."""
    (folder / "img_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    paths = sorted((database / "rose").glob("*.png"))
    for number, some in enumerate((paths[:8], paths[8:])):
        images = [Image.open(path) for path in some]
        vectors = toys.ToyRetriever(index=toys.ToyIndex()).encode_images(images)
        padded = np.pad(vectors, ((0, 0), (0, width - 3)))
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", padded.astype(dtype))
        table = pd.DataFrame({"image_path": [str(p) for p in some], "caption": "a rose", "NSFW": "UNLIKELY"})
        table.to_parquet(folder / "metadata" / f"metadata_{number}.parquet")


def test_a_folder_of_clip_retrieval_is_indexed_without_embedding(run, write_recipe, database, tmp_path, encoded):
    write_embeddings(tmp_path / "laion", database)
    encoded.clear()
    done = run(write_recipe(EMBEDDED))
    assert encoded == [4]  # to see whose vectors they are
    made = Database(index_of(done))
    assert len(made) == 12 and made.record(9).metadata == {"caption": "a rose", "NSFW": "UNLIKELY"}
    assert made.manifest.vectors == "database, by toys"
    vectors = np.concatenate([np.load(p) for p in sorted((made.folder / "img_emb").glob("*.npy"))])
    assert vectors.dtype == np.float32 and np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_vectors_of_another_model_are_refused(run, write_recipe, database, tmp_path):
    write_embeddings(tmp_path / "laion", database, width=5)
    with pytest.raises(RealismError, match=r"declared as by toys, have 5 numbers, those of 'retriever' 3; take the"):
        run(write_recipe(EMBEDDED))
    for path in (tmp_path / "laion" / "img_emb").glob("*.npy"):
        np.save(path, np.load(path)[:, [3, 4, 0]])
    with pytest.raises(RealismError, match=r"are not those of 'retriever': their mean cosine .* is 0\.\d\d; take the"):
        run(write_recipe(EMBEDDED))


def test_what_index_has_written_can_be_read_as_clip_retrieval_writes_it(run, write_recipe, database):
    (database / "metadata.csv").write_text("file,licence,caption\nrose/11.png,CC0,a small rose\n")
    folder = index_of(run(write_recipe(INDEX)))
    table = pd.read_parquet(folder / "metadata")
    assert table.image_path.map(os.path.isfile).all() and table.caption.tolist() == [""] * 11 + ["a small rose"]
    again = run(write_recipe(EMBEDDED.replace("DATABASE/../laion", str(folder))), out="again")
    one, two = (list(Database(f).rows()) for f in (folder, index_of(again)))
    assert one == two and two[11].metadata == {"licence": "CC0", "caption": "a small rose"}


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda f: (f / "img_emb" / "img_emb_1.npy").unlink(), "has 8 vectors, but metadata of 12 images"),
        (lambda f: (f / "img_emb" / "img_emb_1.npy").write_bytes(b"\x93NUMPY"), "is no whole .npy file; copy it again"),
        (lambda f: (f / "metadata" / "metadata_1.parquet").write_bytes(b"PAR1"), "is no whole Parquet file"),
        (lambda f: np.save(f / "img_emb" / "img_emb_1.npy", np.zeros(4)), r"expected floats \(n, d\)"),
    ],
)
def test_an_embedding_folder_that_is_not_whole_is_said(run, write_recipe, database, tmp_path, harm, sentence):
    write_embeddings(tmp_path / "laion", database)
    harm(tmp_path / "laion")
    with pytest.raises(RealismError, match=sentence):
        run(write_recipe(EMBEDDED))


def test_a_vector_that_is_not_finite_is_skipped(run, write_recipe, database, tmp_path):
    write_embeddings(tmp_path / "laion", database)
    path = tmp_path / "laion" / "img_emb" / "img_emb_1.npy"
    vectors = np.load(path)
    vectors[1] = np.nan
    np.save(path, vectors)
    done = run(write_recipe(EMBEDDED))
    assert list(skipped_rows(done).values()) == ["its vector is zero or not finite"]
    assert len(Database(index_of(done))) == 11
