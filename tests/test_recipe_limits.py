"""A recipe that is an attack, or a slip that looks like one, ends in a sentence, soon."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realism.base.errors import RealismError, RecipeError
from realism.data.condition import Condition
from realism.parts.base import FAMILIES
from realism.recipe.load import shipped
from realism.recipe.options import documented_options, type_name
from realism.recipe.reader import written
from realism.recipe.recipe import Recipe, read_recipe

HEAD = "parts: {generator: {use: toy, size: 8}, colour: {use: toy_colour}}\nprompts: {use: toy_prompts, count: 4}\n"
SMALL = HEAD + "steps:\n  - generate\n  - score: {rewards: [colour]}\n"
BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 10)}]\n"
    for before, after in zip("abcdefg", "bcdefgh", strict=True)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
LISTS = "".join(f"d{i}: ['${{d{i + 1}}}', '${{d{i + 1}}}']\n" for i in range(40)) + "d40: 1\n"
TEXTS = "".join(f"d{i}: '${{d{i + 1}}}${{d{i + 1}}}'\n" for i in range(40)) + "d40: abc\n"
CHAIN = "".join(f"d{i}: ${{d{i + 1}}}\n" for i in range(3000)) + "d3000: 1\n"
WIDE = "big: &big " + "x" * 100_000 + "\n" + "wide: '" + "${big}" * 1000 + "'\n"


def repeated(levels: int, inside: str) -> str:
    """A thousand rounds of a thousand rounds of ..."""
    text, indent = HEAD + "steps:\n", "  "
    for _ in range(levels):
        text += f"{indent}- repeat: 1000\n{indent}  steps:\n"
        indent += "    "
    return f"{text}{indent}{inside}\n"


ATTACKS = {
    "aliases": (BOMB + SMALL, "it has more than 100,000 values"),
    "merges": (MERGES + SMALL, "it has more than 100,000 values"),
    "a merge of itself": ("a: &a {<<: *a}\n" + SMALL, "nested too deep, or an alias holds itself"),
    "brackets": ("a: " + "[" * 5000, "nested too deep"),
    "a long list": ("a: [" + "1," * 200_000 + "]\n", "it has more than 100,000 values"),
    "a large file": ("# " + "x" * 4_000_000, "it is larger than 4,000,000 bytes"),
    "doubled lists": (LISTS + SMALL, "it has more than 100,000 values"),
    "doubled texts": (TEXTS + SMALL, "it has more than 100,000 values"),
    "wide texts": (WIDE + SMALL, "it has more than 4,000,000 characters"),
    "a chain": (CHAIN + SMALL, "nested too deep"),
    "a path through itself": ("a: ${a.a.a.a}\n" + SMALL, "it refers to itself"),
    "names in names": ("a: ${a${b}}\n" + SMALL, "only ${key} with a key of this recipe"),
    "rounds of nothing": (repeated(20, "[]"), "steps of the recipe; 10,000 are allowed"),
    "rounds of a mistake": (repeated(3, "5"), "1,000,000,000 steps of the recipe; 10,000 are allowed"),
    "many rounds": (HEAD + "steps:\n" + "  - {repeat: 1000, steps: [generate]}\n" * 500, "500,000 steps"),
    "rounds with much in them": (repeated(1, "- generate: {x: [" + "1," * 30_000 + "]}"), "3,000,000 characters"),
    "parts in parts": (
        "parts:\n"
        + "".join(f"  p{i}: {{use: toy_distance, encoder: p{i + 1}}}\n" for i in range(500))
        + "  p500: toy\n",
        "more than 20 parts hold one another",
    ),
    "axes": ("variants: {" + ", ".join(f"a{i}: {{x: {{}}}}" for i in range(2000)) + "}\n" + SMALL, "50 are allowed"),
    "a long key": ("? " + "x" * 1_000_000 + "\n: 1\n" + SMALL, "is longer than 200 characters"),
    "a long name": (SMALL.replace("use: toy,", f"use: {'x' * 1_000_000},"), "nothing named 'xxx"),
    "a long path": (f"extends: {'x' * 5000}\n" + SMALL, "no such file"),
}


def sentence(text: str, *overrides: str, registry) -> str:
    """What is wrong with a recipe, which is told in some seconds and in few words."""
    Path("recipe.yaml").write_text(text)
    began = time.monotonic()
    with pytest.raises(RealismError) as caught:
        read_recipe("recipe.yaml", list(overrides), registry)
    assert time.monotonic() - began < 20  # most take a tenth of a second; without a bound, years
    assert len(str(caught.value)) < 60_000
    return str(caught.value)


@pytest.fixture
def registry(toy_plugins, tmp_path, monkeypatch):
    """That of the toys, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return toy_plugins.registry


@pytest.mark.parametrize("name", ATTACKS)
def test_what_would_never_end_ends_in_a_sentence(name, registry):
    text, said = ATTACKS[name]
    assert said in sentence(text, registry=registry)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("generator={" + BOMB.replace("\n", ", ") + "}", "it has more than 100,000 values"),
        ("generator={" + MERGES.replace("\n", ", ") + "}", "it has more than 100,000 values"),
        ("generator=&a [*a]", "nested too deep, or an alias holds itself"),
        ("generator=" + "[" * 5000, "nested too deep"),
        ("parts." + ".".join("a" * 5000) + "=1", "no recipe has such a key"),
        ("x" * 1_000_000 + "=1", "no key and no part 'xxx"),
        ("description=" + "x" * 5_000_000, "it is longer than 4,000,000 characters"),
        ("generator.size=" + "9" * 5000, "is too large a number"),
        ("generator.size=1e999", "is too large a number"),
        ("description=\udc80", "is no YAML value"),
        ("generator.size=${${seed}}", "only ${key} with a key of this recipe"),
    ],
)
def test_an_override_is_held_to_what_a_file_is_held_to(override, said, registry):
    assert said in sentence(SMALL, override, registry=registry)


def test_recipes_that_extend_one_another_without_end_are_refused(registry):
    for i in range(300):
        Path(f"r{i}.yaml").write_text(f"extends: r{i + 1}.yaml\n")
    assert "more than 20 recipes extend one another" in sentence("extends: r0.yaml\n" + SMALL, registry=registry)


@pytest.mark.parametrize(
    "text", ["-" * 1900 + "a > 1", "a" + "+a" * 990, "a" + ".b" * 900, "a" + "[0]" * 600, "a == " + "-" * 1500 + "1"]
)
def test_a_condition_too_deep_to_be_told_back_is_none(text):
    with pytest.raises(RealismError, match="is no condition"):
        Condition(text)


def test_of_ten_thousand_mistakes_some_are_told(registry):
    said = sentence(SMALL + "".join(f"  - mistake{i}\n" for i in range(9000)), registry=registry).splitlines()
    assert said[0] == "recipe.yaml: more than 200 problems"
    assert sum("no step is called" in line for line in said) == 50
    assert said[-2:] == ["... and 150 more; others were not looked for", "Nothing was run."]
    said = sentence(SMALL + "".join(f"  - mistake{i}\n" for i in range(60)), registry=registry).splitlines()
    assert (said[0], said[-2]) == ("recipe.yaml: 60 problems", "... and 10 more")


def test_thousands_of_steps_are_checked_in_seconds(registry):
    each = "  - generate: {{name: arm {i}}}\n  - score: {{rewards: [colour], arms: [arm {i}]}}\n"
    each += "  - select: {{best: colour, arms: [arm {i}]}}\n"
    Path("recipe.yaml").write_text(HEAD + "steps:\n" + "".join(each.format(i=i) for i in range(1000)))
    began = time.monotonic()
    assert len(read_recipe("recipe.yaml", [], registry).steps) == 3001
    assert time.monotonic() - began < 15  # about one; with a look at all arms for each, a minute


def test_what_decides_how_much_work_there_is_has_an_upper_bound(toy_plugins):
    free = {  # these decide what comes out, or are not counts
        *("guidance", "true_guidance", "image_guidance", "adapter_scale", "lora.scale", "lora.alpha", "temperature"),
        *("learning_rate", "weight_decay", "max_grad_norm", "memory"),
    }
    for entry in toy_plugins.registry.entries(*FAMILIES):
        if entry.plugin != "toys":
            for option in documented_options(entry.load()):
                kind = type_name(option.hint)
                if option.name not in free and ("int" in kind.split() or "float" in kind.split()):
                    assert "<" in kind, f"{entry.name}.{option.name}: {kind}"


def test_each_text_is_read_as_the_value_it_looks_like_or_refused(registry):
    Path("recipe.yaml").write_text(SMALL)
    for text, value in {"8": 8, "+8": 8, "8.0": 8, "1e1": 10, "1E+1": 10}.items():
        recipe = read_recipe("recipe.yaml", [f"generator.size={text}"], registry)
        assert recipe.parts["generator"].size == value and type(recipe.parts["generator"].size) is int
    for text, value in {"1": 1.0, ".5": 0.5, "5e-1": 0.5, "1e-3": 0.001}.items():
        assert read_recipe("recipe.yaml", [f"generator.pause={text}"], registry).parts["generator"].pause == value
    for text in ("010", "08", "0o10", "0x10", "0b11", "1_000", "1:30", "190:20:30", "007.5"):
        said = sentence(SMALL, f"generator.size={text}", registry=registry)
        assert f"'{text}' may be a number or a text: write a number in plain digits" in said
        assert read_recipe("recipe.yaml", [f"description='{text}'"], registry).description == text
    for text in ("true", "'8'", "8.5", ".inf", ".nan", "null", "[8]"):
        assert "expected a whole number" in sentence(SMALL, f"generator.size={text}", registry=registry)
    for text in ("true", "'0.5'", ".inf", "-.inf", ".nan"):
        assert "expected a number" in sentence(SMALL, f"generator.pause={text}", registry=registry)
    for text in ("1", "0", "yes", "'true'", "1.0"):
        said = sentence(SMALL, f"steps[0]={{generate: {{trained: {text}}}}}", registry=registry)
        assert "expected true or false" in said


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cc", "Cs"]))
        | st.from_regex(r"[-+]?[0-9_:.xoeE]{1,8}", fullmatch=True),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab0:1_"), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_written_down_is_read_as_the_same(value):
    from realism.recipe.reader import read_value
    from realism.recipe.source import Source

    source = Source({})
    assert read_value(written({"a": value}), (), str, source) == {"a": value}
    assert not source.problems


def test_equal_parts_written_in_place_are_one(registry):
    steps = ["{generate: {generator: toy}}", "{score: {rewards: [{use: toy_colour}]}}"]
    steps += [f"{{generate: {{generator: {{use: toy_learner}}, name: {name}}}}}" for name in "bc"]
    steps += ["{score: {rewards: [{use: toy_colour}], arms: [b, c]}}"]
    Path("recipe.yaml").write_text(f"prompts: toy_prompts\nsteps: [{', '.join(steps)}]\n")
    _, _, first, b, c, second = read_recipe("recipe.yaml", [], registry).steps
    assert first.rewards[0] is second.rewards[0]
    assert b.generator is not c.generator  # each may learn something else


def test_what_no_step_before_has_made_is_told_beside_an_option_that_is_wrong(registry):
    said = sentence(HEAD + "steps:\n  - score: {rewards: [colour]}\n  - generate: {shard: 0}\n", registry=registry)
    assert "no arm 'samples'" in said and "0 is not allowed" in said
    said = sentence(HEAD + "steps:\n  - generate: {shard: 0}\n  - score: {rewards: [colour]}\n", registry=registry)
    assert "no arm" not in said  # which would follow from the other


# What follows holds for anything at all.

SIGNS = "{}[]:,-?&*!|>'\"%@`#~=<.$_0189ae\\\n\t \x1b\x00\ufeff\u2028é"
SNIPPETS = """!!int |!!python/name:os.system |!<x> |! |---\n|...\n|%YAML 1.1\n|${a}|${|???|1e9|"\\ud800"|"\\x1b"|"\\0"
|0x1|1:30|: |- |\n  |\n- |<<: |*a|&a |use: toy|steps|parts|repeat|extends|variants"""
PIECES = st.sampled_from([*SIGNS, *SNIPPETS.split("|")])
SHIPPED = [path.read_text() for path in shipped().values()]
SOON = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def ends_well(text: str, overrides: list[str], toy_plugins) -> None:
    """It is a recipe or a sentence, in no time."""
    Path("recipe.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    began = time.monotonic()
    try:
        assert isinstance(read_recipe("recipe.yaml", overrides, toy_plugins.registry), Recipe)
    except (RealismError, RecipeError) as error:
        assert str(error)
    assert time.monotonic() - began < 10


@SOON
@given(
    seed=st.integers(0, 2**32),
    pieces=st.lists(PIECES, min_size=1, max_size=6),
    recipe=st.sampled_from([SMALL, *SHIPPED]),
)
def test_a_recipe_that_was_tampered_with_ends_well(registry, toy_plugins, seed, pieces, recipe):
    chance = random.Random(seed)
    for piece in pieces:
        at = chance.randrange(len(recipe))
        recipe = recipe[:at] + piece + recipe[at + chance.choice([0, 0, 1, 5, 40]) :]
    ends_well(recipe, [], toy_plugins)


@SOON
@given(
    text=st.lists(PIECES).map("".join),
    key=st.sampled_from(["generator", "steps[0]", "description", "x", "seed", "parts"]),
)
def test_any_yaml_in_a_file_or_an_override_ends_well(registry, toy_plugins, text, key):
    ends_well(text, [], toy_plugins)
    ends_well(f"a: {text}\n{SMALL}", [], toy_plugins)
    ends_well(SMALL, [f"{key}={text}"], toy_plugins)
