"""What a user of RealRAG relies on, in a world where the generator knows every colour but blue."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from realism.base.errors import RealismError, RecipeError
from realism.base.tables import read
from realism.data.rows import Exhibit

PARTS = """\
parts:
  database: {use: image_folder, path: DATABASE}
  clip: {use: toy_retriever}
  real: {use: projected, encoder: clip, width: 16, index: toy_index}
  normal: {use: projected, encoder: clip, width: 16, index: toy_index}
  generator: {use: toy}
  colour: {use: toy_colour}
prompts: {use: toy_prompts}
steps:
  - index: {retriever: clip}
"""
REFLECT = PARTS + "  - reflect: {retriever: clip, near_duplicate: 1.01}\n"
TRAIN = (
    REFLECT
    + """\
  - train: {trainer: {use: reflective, retriever: real, epochs: 3, batch_size: 4}}
  - index: {retriever: real}
  - retrieve: {retriever: clip, name: zero}
  - retrieve: {retriever: real}
  - generate: {name: none, references: none}
  - generate: {name: zero, references: zero}
  - generate: {name: real, references: real}
"""
)


def table(run, step: str, name: str) -> pd.DataFrame:
    return pd.read_parquet(next(run.folder.glob(f"steps/{step}-*")) / name)


def test_a_negative_is_what_the_generator_draws_instead(run, write_recipe):
    """The generator paints blue as grey, so the reflective negatives of blue images are grey ones."""
    negatives = table(run(write_recipe(REFLECT)), "reflect", "negatives")
    blue = negatives[negatives.id.str.startswith("blue/")]
    assert len(blue) == 6
    assert set(blue.negative_id.str.split("/").str[0]) == {"grey"}


def test_a_negative_is_never_the_positive_nor_of_its_class(run, write_recipe):
    negatives = table(run(write_recipe(REFLECT)), "reflect", "negatives")
    assert len(negatives) == 24
    assert (negatives.id.str.split("/").str[0] != negatives.negative_id.str.split("/").str[0]).all()


def test_its_class_may_be_allowed_but_never_the_positive_itself(run, write_recipe):
    allowed = REFLECT.replace("near_duplicate: 1.01", "near_duplicate: 1.01, own_class: allow")
    negatives = table(run(write_recipe(allowed)), "reflect", "negatives")
    assert (negatives.id != negatives.negative_id).all()
    same = negatives.id.str.split("/").str[0] == negatives.negative_id.str.split("/").str[0]
    assert same[negatives.id.str.startswith("red/")].all()


def test_near_duplicates_of_the_positive_are_never_its_negative(run, write_recipe):
    """With every image near to every other one, no negative is left, and that is said."""
    with pytest.raises(RealismError, match="24 of 24 items were skipped"):
        run(write_recipe(REFLECT.replace("near_duplicate: 1.01", "near_duplicate: 0.1")))


def test_a_drawing_that_is_withheld_is_skipped_and_the_others_stay(run, write_recipe, monkeypatch):
    import toys
    from realism import Unmade

    whole = table(run(write_recipe(REFLECT), out="whole"), "reflect", "negatives").set_index("id")
    drawn = toys.ToyGenerator.generate

    def withheld(self, requests):
        made = drawn(self, requests)
        return [Unmade("no red") if "red" in r.text else image for r, image in zip(requests, made, strict=True)]

    monkeypatch.setattr(toys.ToyGenerator, "generate", withheld)
    done = run(write_recipe(REFLECT), out="withheld")
    negatives = table(done, "reflect", "negatives").set_index("id")
    assert len(negatives) == 18 and not negatives.index.str.startswith("red/").any()
    assert negatives.negative_id.equals(whole.loc[negatives.index].negative_id)
    skipped = (done.folder / "skipped.csv").read_text()
    assert "no red" in skipped and "no draft of its text" in skipped


def test_the_report_is_given_the_drawing_its_negative_and_the_positive(run, write_recipe):
    done = run(write_recipe(REFLECT))
    shown = list(read(next(done.folder.glob("steps/reflect-*")) / "exhibits" / "reflective negatives (clip)", Exhibit))
    assert len(shown) == 4
    for exhibit in shown:
        drawn, negative, positive = exhibit.images
        assert (done.folder / drawn).is_file() and Path(negative).is_file() and Path(positive).is_file()
        assert "cosine" in exhibit.captions[1]


def test_an_untrained_projection_finds_what_its_encoder_finds(run, write_recipe):
    recipe = (
        PARTS
        + "  - index: {retriever: real}\n  - retrieve: {retriever: clip, k: 3}\n  - retrieve: {retriever: real, k: 3}\n"
    )
    done = run(write_recipe(recipe))
    zero, real = (table(done, f"retrieve-{name}", "references") for name in ("clip", "real"))
    assert zero.id.tolist() == real.id.tolist()
    assert np.allclose(zero.similarity, real.similarity, atol=1e-6)


def test_one_recipe_compares_no_retrieval_zero_shot_and_trained(run, write_recipe):
    done = run(write_recipe(TRAIN + "  - score: {rewards: [colour]}\n  - evaluate: {by: novel, control: none}\n"))
    measures = table(done, "evaluate", "measures")
    blue = measures[measures.group == "True"].set_index(["name", "arm"]).value
    assert blue["colour", "none"] == 0.0
    assert blue["colour", "real"] == 1.0
    assert blue["retrieval precision@1", "real"] == 1.0


def test_training_moves_images_away_from_their_negatives(run, write_recipe):
    done = run(write_recipe(TRAIN))
    weights = next(done.folder.glob("steps/train-*")) / "weights" / "real" / "projection.safetensors"
    assert weights.is_file()
    negatives = table(done, "reflect", "negatives")

    def gap(retriever: str) -> float:
        index = next(done.folder.glob(f"steps/index-{retriever}-*")) / "index" / retriever
        vectors = np.load(index / "img_emb/img_emb_00000.npy")
        text = np.array([31, 61, 221], np.float32) / np.linalg.norm([31, 61, 221])
        blue = negatives[negatives.id.str.startswith("blue/")]
        return float((vectors[blue.row] @ text - vectors[blue.negative_row] @ text).mean())

    assert gap("real") > gap("clip")


def test_the_same_seed_learns_the_same_and_another_seed_another(run, write_recipe):
    def trained(out: str, *overrides: str) -> bytes:
        done = run(write_recipe(TRAIN), *overrides, out=out)
        return (next(done.folder.glob("steps/train-*")) / "weights" / "real" / "projection.safetensors").read_bytes()

    assert trained("a") == trained("b")
    assert trained("a") != trained("c", "seed=1")


def test_runs_over_seeds_pool_their_measures_and_share_what_no_seed_decides(run, write_recipe):
    recipe = "seeds: 3\n" + TRAIN + "  - score: {rewards: [colour]}\n  - evaluate: {by: novel}\n"
    done = run(write_recipe(recipe))
    assert len(list(done.folder.glob("steps/retrieve-zero-*"))) == 1
    assert len(list(done.folder.glob("steps/train-*"))) == 3
    pooled = pd.read_parquet(next(done.folder.glob("steps/seeds-*")) / "measures")
    row = pooled[(pooled.arm == "none") & (pooled.group == "all")].iloc[0]
    assert row.n == 36


def test_a_missing_step_is_named(read, write_recipe):
    with pytest.raises(RecipeError, match=r"put a step 'reflect' with that retriever .*or say 'negatives: none'"):
        read(write_recipe(PARTS + "  - train: {trainer: {use: reflective, retriever: real}}\n"))
    read(write_recipe(PARTS + "  - train: {trainer: {use: reflective, retriever: real, negatives: none}}\n"))


def test_a_loss_that_is_not_defined_is_told_in_a_sentence():
    from realism_realrag.reflective_module import ReflectiveModule

    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    learning = ReflectiveModule(torch.nn.Identity(), 0.05, "as_printed", 1e-3, 0.0)
    with pytest.raises(RealismError, match="is not defined here; take form 'infonce'"):
        learning.training_step((query, -query.flip(0), -query), 0)


def test_a_text_that_images_do_not_have_is_told_in_a_sentence(run, read, write_recipe):
    with pytest.raises(RealismError, match=r"image 'blue/0.png' has no 'caption'; it has: subject"):
        run(write_recipe(REFLECT.replace("near_duplicate: 1.01", "text: '{caption}'")))
    with pytest.raises(RecipeError, match="names no column"):
        read(write_recipe(REFLECT.replace("near_duplicate: 1.01", "text: a flower")))


GATED = """\
  - generate: {name: none}
  - score: {rewards: [colour]}
  - retrieve: {retriever: clip}
  - gate: {where: colour < 0.5}
  - generate: {name: gated}
"""


def test_a_gate_gives_references_only_to_prompts_that_need_one(run, write_recipe):
    samples = table(run(write_recipe(PARTS + GATED)), "generate-gated", "samples")
    with_one = samples[samples.references.str.len() > 0]
    assert set(with_one.subject) == {"blue"} and len(with_one) == 3
    assert set(with_one.retrieved) == {"gated"}


def test_a_floor_of_similarity_lets_no_bad_reference_through(run, write_recipe):
    recipe = PARTS + GATED.replace("where: colour < 0.5", "similarity: 1.0, name: sure")
    references = table(run(write_recipe(recipe)), "gate-sure", "references")
    assert (references.similarity >= 1.0).all()


@pytest.fixture
def eyes(toy_plugins):
    """The toys and a model that sees."""
    from realism.plugins.manager import Plugins, installed

    eyes = EntryPoint("eyes", "toys_realrag", "realism")
    return Plugins([*installed(), EntryPoint("toys", "toys", "realism"), eyes])


def test_what_a_picture_lacks_is_asked_and_retrieved(write_recipe, eyes, tmp_path):
    from realism.recipe.recipe import read_recipe
    from realism.runs.progress import View
    from realism.runs.run import Run

    recipe = write_recipe(
        PARTS.replace("  colour:", "  eyes: {use: toy_eyes}\n  colour:")
        + "  - generate: {name: none}\n  - concepts: {retriever: clip}\n  - generate: {name: helped}\n"
    )
    done = Run(read_recipe(str(recipe), [], eyes.registry), tmp_path / "run", eyes, View(quiet=True))
    done.execute()
    found = table(done, "concepts-concepts", "references")
    assert set(found.prompt_id.str[1:].astype(int) % 4) == {2}  # the blue ones; red and green are drawn right
    assert set(found.subject) == {"blue"} and set(found["rank"]) == {0}
    skipped = pd.read_csv(done.folder / "skipped.csv")
    assert set(skipped.reason) == {"neither yes nor no: 'Perhaps.'"} and len(skipped) == 3


def test_batches_hold_no_text_twice_and_every_image_once_spread_over_the_epoch():
    from realism_realrag.reflective_module import DistinctTexts

    torch.manual_seed(0)
    texts = [0] * 40 + [1] * 10 + [2] * 20 + list(range(3, 103))
    batches = DistinctTexts(texts, 4)
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        seen = list(batches)
        assert len(seen) == len(batches) == 43
        assert sorted(i for batch in seen for i in batch) == list(range(len(texts)))
        assert all(len({texts[i] for i in batch}) == len(batch) <= 6 for batch in seen)
    batches.set_epoch(0)
    assert list(batches) != seen
    torch.manual_seed(0)
    assert list(DistinctTexts(texts, 4)) == list(batches)
    assert list(DistinctTexts(texts, 4, trained="1f")) != list(batches)


def test_a_killed_training_ends_where_an_undisturbed_one_ends(run, write_recipe, monkeypatch):
    from realism_realrag.reflective_module import ReflectiveModule

    def weights(out: str) -> bytes:
        done = run(write_recipe(TRAIN), out=out)
        return (next(done.folder.glob("steps/train-*")) / "weights" / "real" / "projection.safetensors").read_bytes()

    calm, step, calls = weights("calm"), ReflectiveModule.training_step, []

    def killed(self, batch, number):
        calls.append(number)
        if len(calls) == 15:  # in the third of three epochs
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(ReflectiveModule, "training_step", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        weights("killed")
    assert weights("killed") == calm


def test_images_of_a_text_take_its_drafts_in_turn(run, write_recipe):
    negatives = table(run(write_recipe(REFLECT)), "reflect", "negatives")
    assert set(negatives.groupby("text").draft.nunique()) == {4}


def test_without_subjects_a_negative_has_another_text(run, write_recipe, database):
    rows = [f"{name}/{i}.png,,a {name} thing" for name in ("red", "green", "blue", "grey") for i in range(6)]
    (database / "metadata.csv").write_text("\n".join(["file,subject,caption", *rows]))
    recipe = REFLECT.replace("near_duplicate: 1.01", "near_duplicate: 1.01, text: '{caption}'")
    recipe = recipe.replace("path: DATABASE", "path: DATABASE, labels: none")
    negatives = table(run(write_recipe(recipe)), "reflect", "negatives")
    assert (negatives.id.str.split("/").str[0] != negatives.negative_id.str.split("/").str[0]).all()


def test_a_gate_on_an_arm_without_scores_is_refused(read, write_recipe):
    late = GATED.replace("- gate: {", "- generate: {name: late}\n  - gate: {arm: late, ")
    with pytest.raises(RecipeError, match="no score 'colour' of arm 'late'; put a step 'score' before this"):
        read(write_recipe(PARTS + late))


def test_negatives_mined_for_other_texts_are_refused(run, write_recipe):
    with pytest.raises(RealismError, match="give both the same 'text'"):
        run(write_recipe(TRAIN.replace("near_duplicate: 1.01", "near_duplicate: 1.01, text: 'the {subject}'")))


def test_training_begins_alike_whether_or_not_its_encoder_is_loaded():
    from realism_realrag.projected import Projected
    from toys import ToyIndex, ToyRetriever

    class Drawing(ToyRetriever):
        """Draws from torch's generator as it loads, as real encoders do."""

        def encode_texts(self, texts):
            torch.rand(3)
            return super().encode_texts(texts)

    starts = []
    for encoder in (Drawing(ToyIndex()), ToyRetriever(ToyIndex())):
        torch.manual_seed(0)
        starts.append(Projected(encoder, 8, ToyIndex()).mlp().inner.weight)
    assert torch.equal(*starts)
