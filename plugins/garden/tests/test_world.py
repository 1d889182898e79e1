"""The garden's world: species, scenes, renders, captions, prompt sets, databases."""

from __future__ import annotations

import random

import pytest
from PIL import Image
from realism_garden.captions import canonical_caption, caption
from realism_garden.render import render
from realism_garden.scene import COMPANIONS, LAYOUTS, Scene, random_scene
from realism_garden.sets import CASES, SPLITS, database, prompt_set, split_of, write_database
from realism_garden.species import BY_NAME, KNOWN, NOVEL, SECONDS, SPECIES, all_traits, distance, random_species


def scenes(n: int, seed: int = 0) -> list[Scene]:
    rng = random.Random(seed)
    return [random_scene(rng, SPECIES[i % len(SPECIES)]) for i in range(n)]


def test_eighteen_known_and_six_novel_species_with_names_of_their_own():
    assert len(KNOWN) == 18 and len(NOVEL) == 6 and len(BY_NAME) == 24
    assert len({s.traits for s in SPECIES}) == 24
    assert all(s.second is None if s.pattern == "plain" else s.second in SECONDS[s.main] for s in SPECIES)


def test_random_species_stay_two_traits_away_from_novel_ones():
    rng = random.Random(0)
    assert len(all_traits()) > 1000
    for _ in range(500):
        species = random_species(rng)
        assert species.name not in BY_NAME
        assert min(distance(species, novel) for novel in NOVEL) >= 2


def test_same_scene_and_seed_give_the_same_picture():
    for i, scene in enumerate(scenes(24)):
        first, again, other = render(scene, i), render(scene, i), render(scene, i + 1)
        assert first.size == (64, 64) and first.mode == "RGB"
        assert first.tobytes() == again.tobytes() != other.tobytes()


def test_a_scene_survives_its_dictionary():
    for scene in scenes(50):
        assert Scene.from_dict(scene.to_dict()) == scene


def test_a_companion_sits_on_the_free_side():
    for scene in scenes(300):
        assert scene.layout in LAYOUTS and (scene.count == 1 or scene.layout == "centre")
        if scene.companion != "none":
            assert scene.layout != scene.side


def test_captions_name_the_species_and_fit_the_tokenizers():
    rng = random.Random(0)
    for scene in scenes(300):
        assert scene.species.name in caption(scene, rng)
        full = canonical_caption(scene)
        assert scene.species.name in full
        assert scene.companion == "none" or scene.companion in full


def test_captions_vary():
    scene = scenes(1)[0]
    rng = random.Random(0)
    assert len({caption(scene, rng) for _ in range(100)}) > 40


def test_prompt_sets_are_deterministic_and_share_no_text():
    texts = []
    for split in SPLITS:
        items = prompt_set(split)
        assert items == prompt_set(split)
        assert items[:5] == prompt_set(split, per_case=60)[:5]
        assert len({i.id for i in items}) == len(items) == 36 * len(CASES)
        assert all(split_of(i.text) == split and i.subject in i.text for i in items)
        texts.append({i.text for i in items})
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]


def test_a_longer_prompt_set_uses_each_known_species_equally():
    known = [i.subject for i in prompt_set("test") if i.case == "known"]
    assert {known.count(s.name) for s in KNOWN} == {2}


@pytest.mark.parametrize("kind", ["plain", "hard"])
def test_hard_prompts_ask_for_scenes_that_the_database_shows_with_known_species_only(kind):
    setting = lambda s: (s.background, s.light, s.companion)  # noqa: E731
    held = database(kind)
    shown = {setting(i.scene) for i in held if i.scene.species.novel}
    known = {setting(i.scene) for i in held if not i.scene.species.novel}
    hard = [i for split in SPLITS for i in prompt_set(split) if i.case == "novel-hard"]
    assert hard and all(setting(i.scene) not in shown for i in hard)
    if kind == "hard":
        assert all(setting(i.scene) in known for i in hard if i.id.startswith("test"))
    else:
        assert sum(setting(i.scene) in known for i in hard) / len(hard) > 0.9
    assert {i.scene.species.name for i in held} == set(BY_NAME)


def test_no_database_holds_a_test_picture():
    tests = {i.picture().tobytes() for split in SPLITS for i in prompt_set(split)}
    for kind in ("plain", "hard", "held-out"):
        assert not tests & {i.picture().tobytes() for i in database(kind, 5)}
    seeds = {i.seed for i in database("plain")} | {i.seed for i in database("hard")}
    assert not seeds & {i.seed for i in database("held-out")}


def test_a_written_database_can_be_read_and_the_broken_file_cannot(tmp_path):
    import pandas as pd

    table = pd.read_parquet(write_database("hard", tmp_path, 4) / "metadata.parquet")
    assert list(table.columns) == ["file", "species", "caption", "licence", "source", "scene"]
    assert set(table.source) == {"garden", "near-duplicate", "distractor", "corrupted"}
    assert table.licence.nunique() == 4
    for row in table.itertuples():
        if row.source == "corrupted":
            with pytest.raises(OSError):
                Image.open(tmp_path / row.file).load()
        else:
            assert Image.open(tmp_path / row.file).size == (64, 64)
            assert row.species in row.caption


def test_companions_are_drawn():
    base = Scene(species=KNOWN[0])
    drawn = {render(Scene(species=KNOWN[0], companion=c, side="left"), 1).tobytes() for c in COMPANIONS[1:]}
    assert len(drawn) == len(COMPANIONS) - 1 and render(base, 1).tobytes() not in drawn
