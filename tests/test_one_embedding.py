"""Each image goes through each encoder once a run, whichever step, reward or metric needs its vector."""

from __future__ import annotations

from collections import Counter

import pytest
import toys
from realism.base.duplicates import pixel_hash
from realism.data.artifacts import Samples
from realism.data.rows import Sample
from realism.parts.embedder import Embedder
from world import RAG

EVERYTHING = (
    RAG.replace(
        "- evaluate: {metrics: [toy_distance], real: database, by: novel}",
        "- evaluate: {metrics: [one, two], real: database, by: novel, diversity: retriever}\n"
        "  - project: {encoder: retriever, real: database}",
    )
    .replace("index: {}", "index: {retriever: retriever}")
    .replace("retrieve: {}", "retrieve: {retriever: retriever, k: 1}")
    .replace(
        "  generator: {use: toy}",
        "  generator: {use: toy}\n  other: {use: toy_retriever, index: toy_index}\n"
        "  one: {use: toy_distance, encoder: retriever}\n  two: {use: toy_distance, encoder: other}",
    )
)


@pytest.fixture
def seen(monkeypatch) -> Counter[str]:
    """How often each picture was embedded."""
    counted: Counter[str] = Counter()
    embed = toys.ToyRetriever.embed_images

    def counting(self, images):
        counted.update(pixel_hash(image) for image in images if image.size == (8, 8))
        return embed(self, images)

    monkeypatch.setattr(toys.ToyRetriever, "embed_images", counting)
    return counted


def test_no_picture_is_embedded_twice_in_a_run(run, write_recipe, seen):
    done = run(write_recipe(EVERYTHING))
    assert set(seen.values()) == {1}, "two encoders of one class and the same options are one encoder"
    assert len(seen) > 24 + 12, "the database and both arms"
    run(write_recipe(EVERYTHING.replace("k: 1", "k: 2")), out=done.folder.name)
    assert set(seen.values()) == {1}, "nor when the run goes on"


def test_what_a_reward_has_embedded_is_not_embedded_by_a_metric(run, write_recipe, seen):
    text = EVERYTHING[: EVERYTHING.index("steps:")] + (
        "steps:\n  - generate: {name: none}\n"
        "  - score: {rewards: [{use: clip_i_real, encoder: retriever, real: database}]}\n"
        "  - evaluate: {metrics: [one], real: database}\n"
    )
    run(write_recipe(text))
    assert set(seen.values()) == {1}


def test_a_folder_of_vectors_that_is_gone_is_made_again(run, write_recipe, seen):
    import shutil

    done = run(write_recipe(RAG))
    shutil.rmtree(done.folder / "embeddings")
    before = sum(seen.values())
    again = run(write_recipe(RAG.replace("by: novel", "by: subject")))
    assert sum(seen.values()) > before and {s.title: s.kept for s in again.steps}["index retriever"]


def test_vectors_wait_in_memory_and_are_found_before_and_after_they_are_written(tmp_path):
    embedder = Embedder(tmp_path / "kept", tmp_path)
    memory, images = embedder.memory({"encoder": 1}), [toys.Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(5)]
    asked: list[int] = []

    def embed(those):
        asked.append(len(those))
        return toys.ToyRetriever(index=None).embed_images(those)

    first = memory.rows([*images, images[0]], embed)
    assert asked == [5] and (first[0] == first[5]).all()
    assert (memory.rows(images[::-1], embed) == first[4::-1]).all() and asked == [5]
    embedder.flush()
    reopened = Embedder(tmp_path / "kept", tmp_path).memory({"encoder": 1})
    assert (reopened.rows(images, embed) == first[:5]).all() and asked == [5]


def test_a_sample_keeps_what_was_asked_and_what_was_drawn(run, write_recipe, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"text": "a red square", "rewritten": "a green square, photographed"}\n')
    state = run(
        write_recipe(
            f"parts: {{generator: {{use: toy}}}}\nprompts: {{use: prompt_file, path: {prompts}}}\nsteps: [generate]\n"
        )
    ).execute()
    from realism.base.tables import read

    [sample] = read(state.path(Samples("samples")), Sample)
    assert (sample.text, sample.drawn_from) == ("a red square", "a green square, photographed")
