"""What a recipe may say, and that nothing else comes of a wrong one than a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realism.base.errors import RealismError, RecipeError
from realism.data.condition import Condition
from realism.plugins.manager import Plugins
from realism.recipe.recipe import Recipe, read_recipe
from world import RAG

Read = Callable[..., Recipe]
Write = Callable[..., Path]

SMALL = """\
parts:
  generator: {use: toy, size: 8}
  colour: {use: toy_colour}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate
  - score: {rewards: [colour]}
"""


def test_extends_overrides_and_interpolation_go_together(write_recipe: Write, read: Read) -> None:
    write_recipe(SMALL, "base.yaml")
    path = write_recipe(
        "extends: base.yaml\nseed: 3\nparts:\n  generator: {size: 16}\n  colour: {use: toy_nan}\n"
        'prompts: {count: "${seed}"}\n'
    )
    recipe = read(path)
    assert recipe.seed == recipe.steps[0].source.count == 3
    assert recipe.parts["generator"].size == 16
    assert type(recipe.parts["colour"]).__name__ == "ToyNan"
    assert len(recipe.steps) == 3
    assert "extends" not in recipe.data
    assert read(path, "seed=5").steps[0].source.count == 5


def test_a_recipe_may_extend_one_in_a_folder_beside_it_which_extends_another(write_recipe: Write, read: Read) -> None:
    write_recipe(SMALL, "a.yaml")
    write_recipe("extends: a.yaml\nseed: 1\n", "b.yaml")
    assert read(write_recipe("extends: b.yaml\nlimits: {skipped: 0.5}\n")).seed == 1


def test_overrides_reach_parts_steps_and_what_was_not_there(write_recipe: Write, read: Read) -> None:
    recipe = read(
        write_recipe(SMALL),
        "generator.size=32",
        "parts.colour.use=toy_nan",
        "steps[0].generate.per_prompt=2",
        "steps[0].generate.name=one",
        "limits.skipped=0.25",
        "parts.other={use: toy}",
        "steps[0].generate.generator=other",
        "description=a = b",
    )
    assert recipe.parts["generator"].size == 32
    assert type(recipe.parts["colour"]).__name__ == "ToyNan"
    assert (recipe.steps[1].per_prompt, recipe.steps[1].name) == (2, "one")
    assert recipe.skipped_limit == 0.25
    assert recipe.steps[1].generator.part_name == "other"
    assert recipe.description == "a = b"


def test_an_override_reaches_one_of_two_parts_written_with_an_alias(write_recipe: Write, read: Read) -> None:
    path = write_recipe(
        "parts:\n  a: &a {use: toy}\n  b: *a\n  c: {<<: *a, pause: 1}\n" + SMALL[SMALL.index("prompts") :]
    )
    recipe = read(path, "a.size=2", "steps[0]={generate: {generator: a}}", "steps[1]=report")
    assert [recipe.parts[name].size for name in "abc"] == [2, 8, 8]
    assert recipe.parts["c"].pause == 1


def test_a_part_that_is_left_out_is_the_only_one_of_its_family(write_recipe: Write, read: Read) -> None:
    recipe = read(write_recipe(RAG))
    index, generate = recipe.steps[1:3]
    assert index.images is recipe.parts["database"]
    assert index.retriever is recipe.parts["retriever"]
    assert generate.generator is recipe.parts["generator"]


def test_a_part_may_be_named_before_it_is_defined(write_recipe: Write, read: Read) -> None:
    recipe = read(write_recipe("parts: {a: {use: toy_distance, encoder: r}, r: {use: toy_retriever}}\nsteps: [report]"))
    assert recipe.parts["a"].encoder is recipe.parts["r"]


def test_two_parts_that_leave_out_the_same_one_make_no_circle(write_recipe: Write, read: Read) -> None:
    parts = (
        "{d: {use: toy_distance}, e: {use: toy_distance}, r: {use: toy_retriever}, f: {use: toy_distance, encoder: r}}"
    )
    recipe = read(write_recipe(f"parts: {parts}\nsteps: [report]"))
    assert all(recipe.parts[name].encoder is recipe.parts["r"] for name in "def")


def test_parts_are_written_in_place_by_name_or_for_short(write_recipe: Write, read: Read) -> None:
    recipe = read(
        write_recipe(
            "parts: {judge: toy_colour}\nprompts: toy_prompts\nsteps:\n  - generate: {generator: {use: toy, size: 4}}\n"
            "  - score: {rewards: [judge, toy_nan]}\n  - select: {where: judge >= 1 and toy_nan >= 0}\n"
        )
    )
    assert recipe.steps[1].generator.size == 4
    assert [reward.part_name for reward in recipe.steps[2].rewards] == ["judge", "toy_nan"]


def test_a_method_is_a_list_of_steps_that_repeats(write_recipe: Write, read: Read) -> None:
    recipe = read(
        write_recipe(
            """\
parts:
  generator: {use: toy_learner}
  lora: {use: toy_trainer}
  faithful: {use: toy_colour}
prompts: {use: toy_prompts}
steps:
  - repeat: 3
    steps:
      - generate: {per_prompt: 8}
      - score:    {rewards: [faithful]}
      - select:   {where: "faithful >= 0.9", best: faithful}
      - train:    {trainer: lora, steps: 2500}
  - generate: {name: after}
  - report
"""
        )
    )
    verbs = [type(step).__name__ for step in recipe.steps[1:]]
    assert verbs == ["Generate", "ScoreSamples", "Select", "Train"] * 3 + ["Generate", "WriteReport"]
    assert recipe.steps[4].trainer.steps == 2500
    assert recipe.parts["lora"].steps != 2500


def test_keys_and_dates_are_the_texts_they_are_written_as(write_recipe: Write, read: Read) -> None:
    recipe = read(write_recipe(SMALL.replace("colour", "on").replace("toy_on", "toy_colour")), "description=2024-01-01")
    assert set(recipe.parts) == {"generator", "on"}
    assert recipe.description == "2024-01-01"


def test_the_resolved_recipe_reads_as_the_same_recipe(write_recipe: Write, read: Read) -> None:
    first = read(write_recipe(SMALL), "generator.size=9", "name=a/b")
    second = read(write_recipe(yaml.safe_dump(first.data, sort_keys=False), "again.yaml"))
    assert second.data == first.data


# What follows holds for anything at all.

WORDS = re.findall(
    r"\S+",
    """parts prompts steps seed limits name use toy toy_colour toy_prompts generate score select rewards repeat where
    best arm a ${parts} ${a} ??? toy_distance encoder image_folder path train trainer toy_trainer retrieve index k""",
)
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(max_size=6))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
STEPS = st.lists(st.dictionaries(TEXTS, ANYTHING, min_size=1, max_size=2) | TEXTS, max_size=4)
RECIPES = st.dictionaries(TEXTS, ANYTHING, max_size=4) | st.fixed_dictionaries(
    {"steps": STEPS | ANYTHING},
    optional={
        "parts": st.dictionaries(TEXTS, ANYTHING | st.fixed_dictionaries({"use": TEXTS}), max_size=4),
        "prompts": ANYTHING | st.just({"use": "toy_prompts"}),
        "seed": ANYTHING,
        "limits": ANYTHING,
    },
)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(data=RECIPES)
def test_any_mapping_is_a_recipe_or_a_sentence(
    data: dict[str, Any], toy_plugins: Plugins, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True))
    _recipe_or_sentence(path, [], toy_plugins)


@MANY
@given(text=st.text(alphabet=st.sampled_from("ab:{}[]&*!<>|-?'\"#,%@` \n\t0.~=$\\é\x00")))
def test_any_text_is_a_recipe_or_a_sentence(
    text: str, toy_plugins: Plugins, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    _recipe_or_sentence(path, [], toy_plugins)


@MANY
@given(text=st.text() | st.tuples(st.lists(TEXTS | st.just("[0]")).map(".".join), st.text()).map("=".join))
def test_any_override_is_put_in_or_a_sentence(
    text: str, toy_plugins: Plugins, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(SMALL)
    _recipe_or_sentence(path, [text], toy_plugins)


def _recipe_or_sentence(path: Path, overrides: list[str], plugins: Plugins) -> None:
    try:
        assert isinstance(read_recipe(str(path), overrides, plugins.registry), Recipe)
    except RealismError as error:
        assert str(error)


@MANY
@given(
    text=st.text()
    | st.lists(
        st.sampled_from(["a", "b", ">", "1", "(", ")", "not", "in", "[", "]", ",", "'", "and", "-", ".", "="])
    ).map(" ".join)
)
def test_any_text_is_a_condition_or_a_sentence(text: str) -> None:
    try:
        condition = Condition(text)
    except RealismError as error:
        assert "is no condition" in str(error)
        return
    assert condition({}) in (True, False)


NUMBERS = st.sampled_from(["a", "b", "0", "1", "-1", "0.5", "2.5", "true", "false"])
COMPARISONS = st.builds(
    lambda first, rest: " ".join([first, *(f"{sign} {value}" for sign, value in rest)]),
    st.sampled_from(["a", "b"]),
    st.lists(st.tuples(st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), NUMBERS), min_size=1, max_size=3),
) | st.builds(
    lambda name, sign, values: f"{name} {sign} [{', '.join(values)}]",
    st.sampled_from(["a", "b"]),
    st.sampled_from(["in", "not in"]),
    st.lists(NUMBERS, max_size=3),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not {}".format, inner)
    ),
)


@MANY
@given(text=CONDITIONS, a=st.sampled_from([-1, 0, 0.5, 1, 2.5]), b=st.sampled_from([-1, 0, 0.5, 1, 2.5]))
def test_a_condition_means_what_python_means(text: str, a: float, b: float) -> None:
    names = {"a": a, "b": b, "true": True, "false": False}
    assert Condition(text)({"a": a, "b": b}) == eval(text, {"__builtins__": {}}, names)  # noqa: S307


def test_a_comparison_with_a_missing_value_is_false() -> None:
    for row in ({}, {"a": None}, {"a": float("nan")}):
        assert not Condition("a > 0")(row) and not Condition("a <= 0")(row) and not Condition("a != 0")(row)


def test_values_that_are_not_alike_are_a_sentence() -> None:
    for value in ("red", [1], {"b": 1}):
        with pytest.raises(RealismError, match="which are not alike; put texts in quotes, numbers not"):
            Condition("a > 1")({"a": value})


VARIANTS = """\
choose: {size: small}
parts: {generator: {use: toy, size: 8}}
variants:
  size:
    small: {parts: {generator: {size: 4}}}
    large: {parts: {generator: {size: 16}}}
prompts: {use: toy_prompts}
steps: [generate]
"""


def test_a_variant_is_put_on_top_and_another_can_be_chosen(read, write_recipe):
    path = write_recipe(VARIANTS)
    assert read(path).parts["generator"].size == 4
    assert read(path, "choose.size=large").parts["generator"].size == 16
    assert read(path, "generator.size=5", "choose.size=large").parts["generator"].size == 5
    assert read(path).name == "recipe-small"


def test_a_run_of_a_variant_leaves_a_recipe_that_can_be_run_again(run, read, write_recipe):
    done = run(write_recipe(VARIANTS), "choose.size=large")
    assert read(done.folder / "recipe.yaml").parts["generator"].size == 16


def test_a_variant_that_is_not_there_is_named_with_those_that_are(read, write_recipe):
    with pytest.raises(RecipeError, match=r"no variant 'larg'; did you mean 'large'\?"):
        read(write_recipe(VARIANTS), "choose.size=larg")
    with pytest.raises(RecipeError, match=r"no variants of 'colour'"):
        read(write_recipe(VARIANTS), "choose.colour=red")
    with pytest.raises(RecipeError, match=r"a variant is needed"):
        read(write_recipe(VARIANTS.replace("choose: {size: small}\n", "")))


def test_the_number_of_the_round_can_stand_in_names(read, write_recipe):
    text = "parts: {generator: {use: toy}}\nprompts: {use: toy_prompts}\nsteps:\n  - repeat: 3\n    steps:\n"
    recipe = read(write_recipe(text + "      - generate: {name: 'round {iteration}'}\n"))
    assert [step.name for step in recipe.steps[1:]] == ["round 1", "round 2", "round 3"]


def test_a_repeat_in_a_repeat_counts_for_itself(read, write_recipe):
    text = (
        "parts: {generator: {use: toy}}\nprompts: {use: toy_prompts}\nsteps:\n"
        "  - repeat: [{noise: low}, {noise: high}]\n    steps:\n"
        "      - repeat: 2\n        steps:\n          - generate: {name: '{noise} {iteration}'}\n"
    )
    names = [step.name for step in read(write_recipe(text)).steps[1:]]
    assert names == ["low 1", "low 2", "high 1", "high 2"]


def test_references_cannot_be_called_none(read, write_recipe):
    with pytest.raises(RecipeError, match="cannot be called 'none'"):
        read(write_recipe(RAG.replace("- retrieve: {}", "- retrieve: {name: none}")))


def test_an_arm_can_have_other_references_than_the_last_or_none(run, write_recipe):
    text = RAG.replace("- retrieve: {}", "- retrieve: {name: one}\n  - retrieve: {k: 2, name: two}")
    text = text.replace(
        "- score", "- generate: {name: first, references: one}\n  - generate: {name: bare, references: none}\n  - score"
    )
    done = run(write_recipe(text))
    given = {}
    for arm in ("retrieved", "first", "bare"):
        [step] = done.folder.glob(f"steps/generate-{arm}-*")
        rows = pd.read_parquet(step / "samples")
        given[arm] = (set(rows.retrieved), set(rows.references.str.len()))
    assert given == {"retrieved": ({"two"}, {1}), "first": ({"one"}, {1}), "bare": ({""}, {0})}


def test_an_arm_has_the_references_that_were_found_last_also_where_those_are_found_anew(run, write_recipe):
    text = RAG.replace(
        "- retrieve: {}",
        "- retrieve: {name: one}\n  - generate: {name: early}\n  - retrieve: {k: 2, name: two}\n"
        "  - generate: {name: late}\n  - retrieve: {k: 3, name: one}",
    )
    [step] = run(write_recipe(text)).folder.glob("steps/generate-retrieved-*")
    assert set(pd.read_parquet(step / "samples").retrieved) == {"one"}


def test_references_that_are_not_there_are_named_with_those_that_are(read, write_recipe):
    with pytest.raises(
        RecipeError, match=r"no reference 'retriver'; references here: retriever; did you mean 'retriever'\?"
    ):
        read(write_recipe(RAG.replace("name: retrieved", "name: retrieved, references: retriver")))
