"""A file of a run is damaged or removed: the run mends itself, or says what to remove, and then goes on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import kill
import pytest
import toys
from realism.plugins import manager
from realism.plugins.manager import installed
from realism_retrievers.flat import Flat
from test_faults import fail
from world import RAG

DAMAGES = {
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(bytes(range(200))),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}
STATES = {
    "indexed": ("ToyRetriever", "encode_texts", ["index.json", "vectors.f32", "manifest.json", "prompts/shard-*"]),
    "embedded": (Flat, "build", ["img_emb/*.npy", "encoded/shard-*", "keys-*.npy", "values-*.npy", "metadata/shard-*"]),
    "scored": ("ToyDistance", "measure", ["samples/none/shard-*", "scores/none/*/shard-*", "features/*/shard-*"]),
    "drawn": ("ToyReward", "score", ["generate-*/images/*.png", "timing.json", "run.json", "references/*/shard-*"]),
}
"""States in which a run was stopped, by the method that failed there, and files that are then damaged."""


def go_on(realism, recipe: str) -> list[str]:
    """Run until the end, doing as the sentences say; what they said."""
    told = []
    while (ended := realism("run", recipe, "-q", "--out", "out"))[0]:
        told.append(ended[1])
        place = Path(re.search(r"remove the folder '(.*?)'", ended[1])[1])
        assert place.is_relative_to(Path("out").absolute()) and place.exists() and len(told) < 4, told
        shutil.rmtree(place)
    return told


@pytest.mark.parametrize("state", STATES)
def test_after_a_file_was_damaged_a_run_mends_itself_or_says_what_to_remove(state, realism, write_recipe, monkeypatch):
    kind, method, globs = STATES[state]
    before = manager.installed()
    monkeypatch.setattr(manager, "installed", lambda: [*before, *(p for p in installed() if p.name == "retrievers")])
    manager.plugins.cache_clear()
    recipe = str(write_recipe(RAG.replace("toy_retriever}", "toy_retriever, index: flat}")))
    assert realism("run", recipe, "-q", "--out", "calm") == (0, "")
    calm = kill.contents(Path("calm/steps"))
    with monkeypatch.context() as broken:
        broken.setattr(getattr(toys, kind) if isinstance(kind, str) else kind, method, fail)
        assert realism("run", recipe, "-q", "--out", "stopped")[0] == 1
    for number, glob in enumerate(globs):
        name, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        shutil.rmtree("out", ignore_errors=True)
        shutil.copytree("stopped", "out")
        (path, *_) = sorted(Path("out").rglob(glob))
        damage(path)
        told = go_on(realism, recipe)
        available = kill.contents(Path("out/steps"))
        spoilt = {f"out/steps/{place}" for place in calm if calm[place] != available.get(place)}
        assert spoilt <= {str(path)}, (name, told)  # what nobody reads again stays as it is


def test_embeddings_may_be_removed_while_a_step_is_half_done(realism, write_recipe, monkeypatch):
    recipe = str(write_recipe())
    for kind, method in (("ToyIndex", "build"), ("ToyDistance", "measure")):
        with monkeypatch.context() as broken:
            broken.setattr(getattr(toys, kind), method, fail)
            assert realism("run", recipe, "-q", "--out", "out")[0] == 1
        shutil.rmtree("out/embeddings")
    assert realism("run", recipe, "-q", "--out", "out") == (0, "")
    assert realism("run", recipe, "-q", "--out", "calm") == (0, "")
    assert kill.contents(Path("out/steps")) == kill.contents(Path("calm/steps"))


def test_a_damaged_checkpoint_and_damaged_weights_are_told(realism, write_recipe, monkeypatch):
    import toys_learning

    text = RAG.replace("  colour:", "  learner: {use: toy_learner}\n  colour:")
    text = text.replace("generate: {name", "generate: {generator: generator, name")
    train = "  - train: {trainer: toy_trainer, generator: learner}\n"
    train += "  - generate: {generator: learner, name: learnt, references: none}\n"
    recipe = str(write_recipe(text.partition("  - score")[0].replace("shard: 5", "shard: 6") + train))
    with monkeypatch.context() as broken:
        broken.setattr(toys_learning.ToyTrainer, "save", fail)
        broken.setattr(toys_learning.ToyTrainer, "checkpoint_every", 4)
        code, said = realism("run", recipe, "-q", "--out", "out")
    assert code == 1, said
    assert said.startswith("realism: trainer 'toy_trainer' of plugin 'toys' failed in step 'train learner'")
    (last,) = Path("out").absolute().rglob("last.ckpt")
    DAMAGES["half"](last)
    with monkeypatch.context() as broken:
        broken.setattr(toys_learning.ToyLearner, "generate", fail)
        assert realism("run", recipe, "-q", "--out", "out")[0] == 1
    assert f"the checkpoint '{last}' is damaged; the fit begins anew" in Path("out/log.txt").read_text()
    (weights,) = Path("out").absolute().rglob("grey.safetensors")
    DAMAGES["half"](weights)
    (told,) = go_on(realism, recipe)
    assert told.startswith(f"realism: '{weights}' is damaged; remove the folder '")
