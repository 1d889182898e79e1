"""Plugins: a broken one is named and takes nothing down; hooks are called as promised; a new one works at once."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import toys
from realism.base.errors import RealismError
from realism.plugins import manager
from realism.plugins.manager import Plugins, installed
from realism.runs.run import Run

COMMAND = Path(sys.executable).parent / "realism"
CORE = [point for point in installed() if point.name == "core"]
GOOD = "from realism import hook\n@hook\ndef realism_register(registry):\n    "
BROKEN = {
    "raises": (
        "import nonsense_that_is_not_there",
        "ModuleNotFoundError: No module named 'nonsense_that_is_not_there'",
    ),
    "leaves": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "misspells": (
        "from realism import hook\n@hook\ndef realism_registr(registry): ...",
        "no hook is called 'realism_registr'; did you mean 'realism_register'?; hooks: realism_error,",
    ),
    "misnames": (
        "from realism import hook\n@hook\ndef realism_run_start(rn): ...",
        "realism_run_start has no argument 'rn'; it may take: run",
    ),
    "forgets": ("def realism_register(registry): ...", "'forgets' has no hook; put @hook above its realism_register"),
    "interrupts": ("raise GeneratorExit", "GeneratorExit"),
    "ends": (GOOD + "raise SystemExit(0)", "it tried to end the program (SystemExit: 0), which no plugin may"),
    "wraps": (
        "from realism import hook\n@hook(wrapper=True)\ndef realism_run_start(run): return (yield)",
        "realism_run_start is a wrapper around other plugins' hooks; take a plain function, with @hook alone",
    ),
    "wraps_so": (
        "from realism import hook\n@hook(hookwrapper=True)\ndef realism_register(registry): yield",
        "realism_register is a wrapper around other plugins' hooks",
    ),
    "waits": (
        "from realism import hook\n@hook\nasync def realism_run_start(run): ...",
        "realism_run_start would never be run, as it is 'async' or has a 'yield'; take a plain function",
    ),
    "yields": ("from realism import hook\n@hook\ndef realism_images_made(images): yield", "would never be run, as"),
    "stops": (GOOD + "registry.reward('half', 'm:M')\n    raise ValueError('half way')", "ValueError: half way"),
}
"""Modules that cannot be plugins, and why."""
REFUSED = {
    "takes": (
        GOOD + "registry.prompts('prompt_file', 'm:M')",
        "plugin 'takes' registers prompts 'prompt_file', but plugin 'core' has a prompts of that name; it is left out",
    ),
    "aims": (GOOD + "registry.reward('aimless', 'm')", "registers reward 'aimless' at 'm'; expected 'module:Name'"),
    "number": (GOOD + "registry.reward('seven', 7)", "registers reward 'seven' at 7; expected 'module:Name'"),
    "nothing": (GOOD + "registry.step('none', None)", "registers step 'none' at nothing; expected 'module:Name'"),
    "unnamed": (GOOD + "registry.reward(['a'], 'm:M')", "registers a reward as ['a']; expected letters, digits and"),
    "blank": (GOOD + "registry.reward('a b', 'm:M')", "registers a reward as 'a b'; expected letters, digits and"),
}
"""Modules of which a registration is left out, and why."""
UNLOADABLE = {
    "nowhere": ("", "ModuleNotFoundError: No module named 'nowhere_to_be'"),
    "exits": ("raise SystemExit(4)", "SystemExit: 4"),
    "leaves": ("raise SystemExit", "it tried to end the program (SystemExit), which no plugin may"),
    "cancels": ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    "function": ("def Part(): ...", "TypeError: it is no class that inherits from one of realism's families"),
    "bare": (
        "from realism import Reward\nclass Part(Reward):\n    def score(self, pictures): ...",
        "TypeError: put @dataclass above the class, so that its fields become options",
    ),
    "abstract": (
        "from dataclasses import dataclass\nfrom realism import Reward\n@dataclass\nclass Part(Reward): ...",
        "TypeError: it does not define score",
    ),
    "generator": (
        "from dataclasses import dataclass\nfrom realism import Generator\n@dataclass\nclass Part(Generator):\n"
        "    def generate(self, requests): ...",
        "TypeError: it is a generator, registered as a reward",
    ),
}
"""Modules whose part cannot be used, and why."""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """Write a module, and give the entry point that names it."""
    monkeypatch.syspath_prepend(tmp_path)

    def module(name: str, text: str) -> EntryPoint:
        (tmp_path / f"{name}.py").write_text(text + "\n")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return EntryPoint(name, name, "realism")

    return module


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_be_used_is_named_in_one_line(name: str, write: Callable[..., EntryPoint]) -> None:
    text, why = BROKEN[name]
    good = write("good", GOOD + "registry.reward('fine', 'm:M')")
    plugins = Plugins([*CORE, write(name, text), good])
    (problem,) = plugins.problems
    assert problem.startswith(f"plugin '{name}' (") and why in problem and "\n" not in problem
    assert plugins.registry.find("fine", "reward") and plugins.registry.find("generate", "step")
    assert not plugins.registry.find("half", "reward"), "what it registered before it failed is still there"


@pytest.mark.parametrize("name", REFUSED)
def test_a_registration_that_cannot_be_is_left_out_by_itself(name: str, write: Callable[..., EntryPoint]) -> None:
    text, why = REFUSED[name]
    plugins = Plugins([*CORE, write(name, text + "\n    registry.reward('fine', 'm:M')")])
    (problem,) = plugins.problems
    assert why in problem
    assert plugins.registry.find("fine", "reward")
    assert plugins.registry.get("prompt_file", "prompts").plugin == "core"


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_part_that_cannot_be_loaded_is_named_when_it_is_used(name: str, write: Callable[..., EntryPoint]) -> None:
    text, why = UNLOADABLE[name]
    module = "nowhere_to_be" if name == "nowhere" else f"part_{name}"
    write(f"part_{name}", text)
    plugins = Plugins([*CORE, write("plug", GOOD + f"registry.reward('odd', '{module}:Part')")])
    assert not plugins.problems
    with pytest.raises(RealismError, match="reward 'odd' of plugin 'plug' cannot be loaded from") as caught:
        plugins.registry.get("odd", "reward").load()
    assert why in str(caught.value)


def test_two_plugins_of_one_name_are_told_apart(write: Callable[..., EntryPoint]) -> None:
    first, second = write("one", GOOD + "pass"), write("two", GOOD + "pass")
    plugins = Plugins([first, EntryPoint("one", second.value, "realism")])
    assert "plugin 'one' ( ) is left out: ValueError" in plugins.problems[0]


def test_the_command_line_works_beside_broken_plugins(tmp_path: Path) -> None:
    """All of them at once, as installed distributions."""
    part = GOOD + "registry.reward('odd', 'nowhere_to_be:Part')\n    registry.command('odd', 'nowhere_to_be:app')"
    modules = {name: text for name, (text, _) in (BROKEN | REFUSED).items()} | {"odd": part}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "many-1.0.dist-info").mkdir()
    (tmp_path / "many-1.0.dist-info" / "METADATA").write_text("Name: many\nVersion: 1.0\n")
    points = "".join(f"{name} = {name}\n" for name in [*modules, "absent"])
    (tmp_path / "many-1.0.dist-info" / "entry_points.txt").write_text(f"[realism]\n{points}")

    def say(*arguments: str) -> str:
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "500"}
        done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout

    said = say("plugins")
    for name, (_, why) in (BROKEN | REFUSED).items():
        (line,) = (
            line for line in said.splitlines() if line.startswith("note: ") and f"'{name}'" in line.split(" (")[0]
        )
        assert why in line
    assert "plugin 'absent' (many 1.0) is left out: ModuleNotFoundError: No module named 'absent'" in said
    assert "cannot be loaded from 'nowhere_to_be:Part': ModuleNotFoundError" in say("parts")
    assert "Left out: command 'odd'" in say("--help")


WATCHER = """\
from realism import hook
seen = []
@hook
def realism_run_start(run): seen.append("run starts")
@hook
def realism_run_end(run, error): seen.append(f"run ends: {error}")
@hook
def realism_step_start(step): seen.append(f"{step} starts")
@hook
def realism_step_end(step, kept): seen.append(f"{step} ends" + (", kept" if kept else ""))
@hook
def realism_images_made(images, prompts): seen.append(f"{len(images)} images"); assert len(images) == len(prompts)
@hook
def realism_scores_given(reward, ids, values): seen.append(f"{reward}: {len(ids)}"); assert type(values[0]) is float
@hook
def realism_error(error): seen.append(f"error: {error}")
"""
RECIPE = """\
parts: {generator: {use: toy}}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate: {shard: 3}
  - score: {rewards: [toy_colour]}
  - select: {where: toy_colour >= 0}
"""


def test_life_cycle_hooks_are_called_in_order(
    write: Callable[..., EntryPoint], write_recipe: Callable[..., Path], run: Callable[..., Run]
) -> None:
    plugins = Plugins([*CORE, EntryPoint("toys", "toys", "realism"), write("watcher", WATCHER)])
    seen = sys.modules["watcher"].seen
    path = write_recipe(RECIPE)
    run(path, plugins=plugins)
    making = ["generate samples starts", "3 images", "1 images", "generate samples ends"]
    scoring = ["score starts", "toy_colour: 3", "toy_colour: 1", "score ends"]
    start = ["run starts", "prompts starts", "prompts ends"]
    assert seen == [*start, *making, *scoring, "select starts", "select ends", "run ends: None"]

    seen.clear()
    run(path, plugins=plugins)
    kept = [f"{step} ends, kept" for step in ("prompts", "generate samples", "score", "select")]
    assert seen == ["run starts", *kept, "run ends: None"]

    seen.clear()
    with pytest.raises(RealismError):
        run(path, "steps[2].select.where=toy_colour > 'red'", plugins=plugins)
    assert seen[-3] == "select starts"
    assert seen[-2].startswith("error: \"toy_colour > 'red'\" compares")
    assert seen[-1].startswith("run ends: \"toy_colour > 'red'\" compares")


def test_a_plugin_that_fails_in_a_hook_is_named_and_the_run_goes_on(
    write: Callable[..., EntryPoint], write_recipe: Callable[..., Path], run: Callable[..., Run]
) -> None:
    hooks = ("run_start", "run_end", "step_start", "step_end", "images_made", "scores_given")
    text = "".join(f"@hook\ndef realism_{name}(run):\n    raise ValueError('no network')\n" for name in hooks)
    plugins = Plugins(
        [*CORE, EntryPoint("toys", "toys", "realism"), write("fails", "from realism import hook\n" + text)]
    )
    done = run(write_recipe(RECIPE), plugins=plugins)
    log = (done.folder / "log.txt").read_text()
    for name in hooks:
        assert f"plugin 'fails' failed in realism_{name}: ValueError: no network" in log


def test_a_plugin_skips_images_with_its_reason(
    write: Callable[..., EntryPoint], write_recipe: Callable[..., Path], run: Callable[..., Run]
) -> None:
    text = """\
from realism import hook
@hook
def realism_images_made(prompts): return ["too blue" if p.subject == "blue" else None for p in prompts]
"""
    wrong = "from realism import hook\n@hook\ndef realism_images_made(): return []"
    world = [*CORE, EntryPoint("toys", "toys", "realism")]
    done = run(write_recipe(RECIPE), plugins=Plugins([*world, write("screens", text), write("miscounts", wrong)]))
    skipped = (done.folder / "skipped.csv").read_text().splitlines()
    assert len(skipped) == 2 and skipped[1].startswith("p002-") and skipped[1].endswith(",generate samples,too blue")
    assert len(list(done.folder.rglob("*.png"))) == 3
    said = "plugin 'miscounts' returned 0 answers for 3 images from realism_images_made; it is not used"
    assert said in (done.folder / "log.txt").read_text()


ANSWERS = {
    "{}": "a dict, not a list with a reason or None for each image,",
    "(None for p in prompts)": "a generator, not a list with a reason or None for each image,",
    "'blue'": "a str, not a list with a reason or None for each image,",
    "[7 for p in prompts]": "a list with a int in it, where each is a reason or None,",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_the_wrong_kind_is_named_once_and_not_used(
    answer: str, write: Callable[..., EntryPoint], write_recipe: Callable[..., Path], run: Callable[..., Run]
) -> None:
    text = f"from realism import hook\n@hook\ndef realism_images_made(prompts): return {answer}"
    world = [*CORE, EntryPoint("toys", "toys", "realism"), write("answers", text)]
    done = run(write_recipe(RECIPE), plugins=Plugins(world))
    lines = [line for line in (done.folder / "log.txt").read_text().splitlines() if "'answers'" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"plugin 'answers' returned {ANSWERS[answer]} from realism_images_made; it is not used")
    assert len(list(done.folder.rglob("*.png"))) == 4


def test_hooks_may_exit_ask_to_come_first_and_have_arguments_of_their_own(
    write: Callable[..., EntryPoint], write_recipe: Callable[..., Path], run: Callable[..., Run], tmp_path: Path
) -> None:
    text = "from realism import hook\n@hook{}\ndef realism_images_made(prompts, own=3): return ['{}'] * len(prompts)"
    early = write("early", text.format("(tryfirst=True)", "first"))
    late = write("late", text.format("", "second"))
    exits = "import sys\nfrom realism import hook\n@hook\ndef realism_register(): ...\n"
    exits += "@hook\ndef realism_step_start(step): sys.exit(0)\n@hook\ndef realism_run_end(): return 1"
    world = [*CORE, EntryPoint("toys", "toys", "realism"), early, late, write("exits", exits)]
    plugins = Plugins(world)
    assert not plugins.problems
    with pytest.raises(RealismError, match="all 4 items were skipped"):
        run(write_recipe(RECIPE), "limits.skipped=1", plugins=plugins, out="out")
    folder = tmp_path / "out"
    assert [line.split(",")[-1] for line in (folder / "skipped.csv").read_text().splitlines()[1:]] == ["first"] * 4
    log = (folder / "log.txt").read_text()
    assert "plugin 'exits' failed in realism_step_start: it tried to end the program (SystemExit: 0)" in log
    assert "plugin 'exits' returned a int from realism_run_end, which takes no answer" in log


def test_a_new_plugin_is_used_by_name(
    realism: Callable[..., tuple[int, str]], write_recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = realism("new-plugin", "mean-light", "--folder", "made")
    assert (code, said.splitlines()[0]) == (0, "wrote made/realism-mean-light")
    assert realism("new-plugin", "mean-light", "--folder", "made")[0] == 2
    project = tomllib.loads(Path("made/realism-mean-light/pyproject.toml").read_text())["project"]
    ((name, target),) = project["entry-points"]["realism"].items()
    monkeypatch.syspath_prepend(Path("made/realism-mean-light").absolute())
    before = manager.installed()
    monkeypatch.setattr(manager, "installed", lambda: [*before, EntryPoint(name, target, "realism")])
    manager.plugins.cache_clear()
    assert "mean_light" in realism("plugins")[1]
    assert "Images are resized to so many pixels first." in realism("parts", "mean_light")[1]
    path = write_recipe(RECIPE.replace("toy_colour", "mean_light"))
    assert realism("run", str(path), "-q", "--out", "out") == (0, "")
    assert list(Path("out/steps").glob("score-*/scores/samples/*/*.parquet"))


def test_an_error_of_a_part_is_said_with_its_plugin_and_what_it_was_at_work_on(realism, write_recipe, monkeypatch):
    monkeypatch.setattr(toys.ToyReward, "score", lambda self, pictures: 1 / 0)
    code, said = realism("run", str(write_recipe()), "-q", "--out", "out")
    assert code == 1 and len(said.splitlines()) == 1
    assert said == (
        "realism: reward 'colour' of plugin 'toys' failed on 5 pictures (prompts p000, p001, p002, ...) of arm 'none' "
        "in step 'score': ZeroDivisionError: division by zero; --debug shows the line, which is the plugin's"
    )


@pytest.mark.slow
def test_a_new_plugin_installs_and_passes_its_own_test(tmp_path: Path) -> None:
    def say(*arguments: object) -> str:
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "200"}
        done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    say(COMMAND, "new-plugin", "mean-light")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", "site")
    say(*pip, "./realism-mean-light")
    assert "mean_light  realism-mean-light  0.1.0    1 registered" in say(COMMAND, "plugins")
    assert re.search(r"size +int +64", say(COMMAND, "parts", "mean_light"))
    assert "passed" in say(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "realism-mean-light")


HEAVY = ("torch", "numpy", "pandas", "pydantic", "diffusers", "transformers", "lightning", "omegaconf", "rich.console")


def _imported(*arguments: str) -> set[str]:
    """Which heavy modules the command imports."""
    code = "import sys\nfrom realism.cli.app import main\nsys.argv = ['realism', *sys.argv[1:]]\ntry: main()\nfinally: "
    code += f"print('\\n' + ' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert _imported("--help") == set()


def test_checking_a_recipe_and_listing_parts_import_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "prompts: {use: classes, images: {use: image_folder, path: .}}\nsteps: [generate]\n"
        "parts: {g: {use: flux, model: owner/name}}\n"
    )
    heavy = {"torch", "diffusers", "transformers", "lightning"}
    assert not _imported("check", str(path)) & heavy
    assert not _imported("parts") & heavy
