"""Faults of strangers' code and of the machine end in words, and a run that was mended goes on."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill
import numpy as np
import pytest
import toys
from PIL import Image
from realism import Scores
from realism.plugins.faults import PartFault
from world import RAG, ROOT


class AwayError(BaseException):
    """What is no Exception, as trio's and asyncio's ways to cancel are not."""


def leave(*_):
    sys.exit(0)


def fail(*_):
    raise ValueError("no such\ncolour")


def circle(*_):
    error = ValueError("its own cause")
    raise error from error


ENDS = {
    "its own cause": (circle, "ValueError: its own cause"),
    "exit": (leave, "it tried to end the program (SystemExit: 0), which no plugin may"),
    "odd": (lambda *_: (_ for _ in ()).throw(AwayError("away")), "AwayError: away"),
    "cancelled": (lambda *_: (_ for _ in ()).throw(asyncio.CancelledError()), "CancelledError"),
    "generator exit": (lambda *_: (_ for _ in ()).throw(GeneratorExit()), "GeneratorExit"),
    "end of file": (lambda *_: (_ for _ in ()).throw(EOFError("short")), "EOFError: short"),
}
"""Ways to end a program without a word, and how each is told."""


@pytest.mark.parametrize("way", ENDS)
def test_a_part_cannot_end_a_run_without_a_word(way, realism, write_recipe, monkeypatch):
    end, said = ENDS[way]
    monkeypatch.setattr(toys.ToyReward, "score", end)
    code, printed = realism("run", str(write_recipe()), "-q", "--out", "out")
    assert code == 1 and printed.startswith("realism: reward 'colour' of plugin 'toys' failed on 5 pictures")
    assert said in printed and "\n" not in printed
    assert said in Path("out/log.txt").read_text()


WHERE = {
    "options_error": ("ToyReward", "check", "parts.colour  toy_colour cannot be made: "),
    "inputs": ("ToyReward", "run", "reward 'colour' of plugin 'toys' failed"),
    "meanings": ("ToyReward", "check", "steps[4].score  score cannot be made: "),
    "prompts": ("ToyPrompts", "run", "source of prompts 'toy_prompts' of plugin 'toys' failed in step 'prompts'"),
    "generate": ("ToyGenerator", "run", "generator 'generator' of plugin 'toys' failed"),
    "embed_images": ("ToyRetriever", "run", "retriever 'retriever' of plugin 'toys' failed"),
    "encode_texts": ("ToyRetriever", "run", "retriever 'retriever' of plugin 'toys' failed"),
    "preprocessing": ("ToyRetriever", "run", "retriever 'retriever' of plugin 'toys' failed in step 'evaluate'"),
    "build": ("ToyIndex", "run", "index 'toy_index' of plugin 'toys' failed"),
    "search": ("ToyIndex", "run", "index 'toy_index' of plugin 'toys' failed"),
    "measure": ("ToyDistance", "run", "metric 'toy_distance' of plugin 'toys' failed in step 'evaluate'"),
    "release": ("ToyReward", "run", "reward 'colour' of plugin 'toys' failed"),
}
"""Methods of parts: whose, the command that comes to call it, and how it is told."""


@pytest.mark.parametrize("method", WHERE)
@pytest.mark.parametrize("end", [leave, fail])
def test_whatever_method_fails_or_exits_its_part_is_named_and_the_exit_code_is_not_0(
    method, end, realism, write_recipe, monkeypatch
):
    kind, command, said = WHERE[method]
    monkeypatch.setattr(getattr(toys, kind), method, end)
    code, printed = realism(command, str(write_recipe()), *(["-q", "--out", "out"] if command == "run" else []))
    assert code in (1, 2) and said in printed, printed
    assert ("SystemExit: 0" if end is leave else "ValueError: no such colour") in printed
    assert "for a report" not in printed and "Traceback" not in printed


def closed() -> Image.Image:
    image = Image.new("RGB", (8, 8))
    image.close()
    return image


def huge() -> Image.Image:
    """A picture that says it has more pixels than can be kept."""
    image = Image.new("RGB", (8, 8))
    image._size = (20_000, 20_000)
    return image


def spoilt(change):
    """What a good part gives, changed."""
    return lambda good: lambda self, *given: change(good(self, *given))


PICTURES = "generator 'generator' of plugin 'toys' breaks its contract: "
CONTRACTS = [
    ("ToyGenerator.generate", lambda made: None, PICTURES + "generate gave nothing, not a list of pictures"),
    ("ToyGenerator.generate", lambda made: made[1:], PICTURES + "5 requests gave 4 pictures"),
    ("ToyGenerator.generate", lambda made: np.stack(made), PICTURES + "generate gave a ndarray, not a list of"),
    (
        "ToyGenerator.generate",
        lambda made: [np.asarray(i) for i in made],
        PICTURES + "a picture is a ndarray, neither an",
    ),
    ("ToyGenerator.generate", lambda made: [i.convert("RGBA") for i in made], PICTURES + "a picture is RGBA, not RGB"),
    ("ToyGenerator.generate", lambda made: [i.convert("L") for i in made], PICTURES + "a picture is L, not RGB"),
    ("ToyGenerator.generate", lambda made: [closed() for _ in made], PICTURES + "a picture cannot be read, as if it"),
    ("ToyGenerator.generate", lambda made: [huge() for _ in made], PICTURES + "a picture has 20000 x 20000 pixels"),
    ("ToyRetriever.embed_images", lambda rows: rows.astype(float), "embed_images gave float64, not float32"),
    ("ToyRetriever.embed_images", lambda rows: 2 * rows, "embed_images gave a row of length 2, not 1"),
    ("ToyRetriever.embed_images", lambda rows: rows[1:], "embed_images gave the shape "),
    ("ToyRetriever.embed_images", lambda rows: rows * np.nan, "embed_images gave a row that is not finite"),
    ("ToyRetriever.encode_texts", lambda rows: rows.tolist(), "encode_texts gave a list, not an array of NumPy"),
    ("ToyRetriever.encode_texts", lambda rows: np.pad(rows, ((0, 0), (0, 2))), "texts have 5 numbers, images 3"),
    ("ToyIndex.search", lambda found: found[1], "search gave a ndarray, not two arrays: similarities and rows"),
    ("ToyIndex.search", lambda found: (found[0], found[1] + 99), "of an index of 24 rows"),
    ("ToyIndex.search", lambda found: (found[0][1:], found[1][1:]), "search gave the shapes (11, 1) and (11, 1), not"),
    ("ToyIndex.search", lambda found: (found[0] * np.nan, found[1]), "search gave a similarity that is not a number"),
    ("ToyReward.score", lambda said: said.values, "score gave a Tensor, not Scores"),
    ("ToyReward.score", lambda said: Scores(said.values[1:]), "5 pictures gave the shape (4,), not (5,)"),
    ("ToyDistance.measure", lambda value: float("nan"), "measure gave nan"),
    ("ToyDistance.measure", lambda value: complex(value), "measure gave a complex, not a number"),
    ("ToyDistance.measure", lambda value: None, "measure gave nothing, not a number"),
    ("ToyDistance.measure", lambda value: "1.0", "measure gave a str, not a number"),
    ("ToyPrompts.prompts", lambda value: None, "prompts gave nothing, not prompts"),
]


@pytest.mark.parametrize(("method", "change", "said"), CONTRACTS)
def test_what_a_part_should_not_return_is_told_with_its_plugin(method, change, said, run, write_recipe, monkeypatch):
    kind, name = method.split(".")
    good = getattr(getattr(toys, kind), name)
    monkeypatch.setattr(getattr(toys, kind), name, spoilt(change)(good))
    with pytest.raises(PartFault) as caught:
        run(write_recipe())
    assert said in str(caught.value) and "of plugin 'toys' breaks its contract: " in str(caught.value)
    monkeypatch.undo()
    run(write_recipe())


@pytest.fixture
def process(write_recipe, tmp_path):
    """Start a run in a process of its own, in a world where the toys are installed, and wait until it draws."""
    info = tmp_path / "site" / "toys-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[realism]\ntoys = toys\n")
    paths = os.pathsep.join([str(info.parent), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    recipe = str(write_recipe(RAG.replace("{use: toy}", "{use: toy, pause: 0.1}")))

    def start(
        out: Path, waits_for: str = "steps/generate-none-*/samples/none/shard-00000.parquet", prefix=(), **options
    ):
        options = {"stderr": subprocess.PIPE, "text": True, "env": environment} | options
        started = subprocess.Popen([*prefix, *kill.command(recipe, out)], **options)
        while waits_for and not list(out.glob(waits_for)):
            assert started.poll() is None, started.communicate()
            time.sleep(0.02)
        return started

    return start


SIGNALS = [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM, signal.SIGINT], 143), ([signal.SIGHUP], 129)]


def test_a_signal_stops_a_run_with_one_line_and_the_same_command_goes_on(process, tmp_path):
    for number, (signals, code) in enumerate(SIGNALS):
        out = tmp_path / f"out{number}"
        run = process(out)
        for one in signals:
            run.send_signal(one)
            time.sleep(0.1)
        said = run.communicate()[1]
        name = signal.Signals(signals[0]).name
        assert (run.returncode, said) == (code, f"realism: stopped by {name}; the same command goes on from here\n")
        log = (out / "log.txt").read_text().splitlines()
        assert [line.split(" ", 2)[2] for line in log if " ERROR " in line] == [f"ERROR stopped by {name}"]
        assert not list(out.rglob("*.writing")) and not list(out.glob("steps/generate-none-*/done.json"))
    assert process(out, "").wait() == 0

    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    calm = process(tmp_path / "calm", preexec_fn=nohup)
    calm.send_signal(signal.SIGHUP)
    assert calm.wait() == 0, "a signal that a run was started to ignore has stopped it"
    assert kill.contents(out) == kill.contents(tmp_path / "calm")


@pytest.fixture
def handlers():
    """Signals are handled after the test as before it: a process that was stopped ignores them, as it ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stop_that_a_part_makes_something_else_of_is_still_one(realism, write_recipe, monkeypatch, handlers):
    def score(self, pictures):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ValueError("scoring failed") from None

    monkeypatch.setattr(toys.ToyReward, "score", score)
    code, said = realism("run", str(write_recipe()), "-q", "--out", "out")
    assert (code, said) == (143, "realism: stopped by SIGTERM; the same command goes on from here")


def fails(number, place=""):
    """A call of the system that fails so, where the path has `place` in it."""
    return lambda good: lambda file, *rest: refuse(number) if place in path_of(file) else good(file, *rest)


def path_of(file: int) -> str:
    return str(Path(f"/proc/self/fd/{file}").readlink())


def refuse(number):
    raise OSError(number, os.strerror(number))


MACHINE = {
    "a table": (
        errno.ENOSPC,
        "/samples/none/",
        "samples/none/shard-00000.parquet' cannot be written, as the disk is full",
    ),
    "a picture": (errno.ENOSPC, ".png.", ".png' cannot be written, as the disk is full: make room there, then"),
    "run.json": (errno.ENOSPC, ".run.json", "run.json' cannot be written, as the disk is full: make room there, then"),
    "a quota": (errno.EDQUOT, "/scores/", "cannot be written, as the quota is used up: make room there, then the same"),
    "read-only": (errno.EROFS, "/measures/", "cannot be written, as its disk is read-only: change that, then the same"),
    "files": (errno.EMFILE, "/references/", "too many files are open at once: raise the limit, as in 'ulimit -n 8192'"),
}


@pytest.mark.parametrize("what", MACHINE)
def test_a_fault_of_the_machine_is_told_and_once_mended_the_same_command_goes_on(
    what, realism, write_recipe, monkeypatch
):
    number, place, said = MACHINE[what]
    recipe = str(write_recipe())
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails(number, place)(os.fsync))
        code, printed = realism("run", recipe, "-q", "--out", "out")
    assert code == 2 and said in printed and printed.count("\n") == 0, printed
    assert said in Path("out/log.txt").read_text() and not list(Path("out").rglob("*.writing"))
    assert realism("run", recipe, "-q", "--out", "out") == (0, "")
    assert realism("run", recipe, "-q", "--out", "calm") == (0, "")
    assert kill.contents(Path("out")) == kill.contents(Path("calm"))


def test_a_folder_that_a_part_stumbles_over_is_not_to_be_removed(realism, write_recipe, monkeypatch, database):
    monkeypatch.setattr(toys.ToyReward, "score", lambda self, pictures: database.open())
    code, said = realism("run", str(write_recipe()), "-q", "--out", "out")
    assert code == 1 and "reward 'colour' of plugin 'toys' failed" in said and "remove the folder" not in said


def test_a_run_whose_folder_is_removed_says_so(realism, write_recipe, monkeypatch):
    def score(self, pictures):
        shutil.rmtree("out")
        return good(self, pictures)

    good = toys.ToyReward.score
    monkeypatch.setattr(toys.ToyReward, "score", score)
    code, said = realism("run", str(write_recipe()), "-q", "--out", "out")
    gone = f"the folder '{Path('out').absolute()}' was removed while the run was at work; run again to begin anew"
    assert (code, said) == (2, f"realism: {gone}")


def test_an_image_is_not_skipped_because_too_many_files_are_open(realism, write_recipe, monkeypatch):
    good = Path.open
    few = lambda path, *a, **k: refuse(errno.EMFILE) if "database/" in str(path) else good(path, *a, **k)  # noqa: E731
    with monkeypatch.context() as broken:
        broken.setattr(Path, "open", few)
        code, said = realism("run", str(write_recipe()), "-q", "--out", "out")
    assert code == 2 and said.startswith("realism: too many files are open at once")
    assert realism("run", str(write_recipe()), "-q", "--out", "out") == (0, "")


def full_disk() -> bool:
    """Whether a small disk can be made here, in a namespace of its own."""
    made = "mount -t tmpfs -o size=1m x /mnt"
    return shutil.which("unshare") is not None and not subprocess.run(["unshare", "-rm", "sh", "-c", made]).returncode


@pytest.mark.skipif(not full_disk(), reason="no disk can be mounted here")
def test_a_disk_that_is_really_full_is_told(process, tmp_path):
    small = f'mount -t tmpfs -o size=150k small {tmp_path / "small"} && exec "$@"'
    (tmp_path / "small").mkdir()
    run = process(tmp_path / "small" / "run", "", prefix=["unshare", "-rm", "sh", "-c", small, "sh"])
    said = run.communicate()[1]
    assert run.returncode == 2 and "cannot be written, as the disk is full: make room there, then the same" in said
    assert said.count("\n") == 1


def test_a_part_that_prints_logs_and_changes_the_working_folder_breaks_no_run(realism, write_recipe, monkeypatch):
    def score(self, pictures):
        print("scoring", len(pictures))
        logging.getLogger("stranger").error("all is lost")
        os.chdir("/")
        return good(self, pictures)

    good = toys.ToyReward.score
    recipe = str(write_recipe())
    with monkeypatch.context() as odd:
        odd.setattr(toys.ToyReward, "score", score)
        assert realism("run", recipe, "-q", "--out", "out")[0] == 0
    said = "WARNING score: a part changed the working folder to '/', which no part may"
    assert said in Path("out/log.txt").read_text() and Path.cwd() == Path(recipe).parent
    assert realism("run", recipe, "-q", "--out", "calm") == (0, "")
    assert kill.contents(Path("out/steps")) == kill.contents(Path("calm/steps"))
