"""Folders and tars of users: names that no text can say, folders that cannot be read, links, and tars that lie."""

from __future__ import annotations

import csv
import io
import os
import socket
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from pipes import pipe

import pandas
import pytest
import tiny
import tiny_databases as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realism import Images, Picture, Prompt, Prompts, RealismError, Record
from realism.base.images import UnreadableImage, read_image
from realism.base.tables import read_shard, write_shard
from realism.data.rows import RecordRow
from realism.parts.embedder import rows_of
from realism.sources.class_prompts import ClassPrompts
from realism.sources.image_folder import ImageFolder
from realism.sources.torchvision_dataset import TorchvisionDataset
from realism.sources.webdataset import WebDataset
from realism_rewards.zero_shot import ZeroShot
from world import RAG

LATIN = os.fsdecode(b"caf\xe9.png")
RECIPE = RAG.replace("  - index: {}", "  - photographs: {images: database, name: real}\n  - index: {}")


def skipped_rows(run) -> dict[str, str]:
    return {f"{row['step']}: {row['id']}": row["reason"] for row in csv.DictReader((run.folder / "skipped.csv").open())}


# Names


def test_a_file_whose_name_is_no_text_is_skipped_by_each_step_and_shown(run, write_recipe, database):
    (database / "red" / LATIN).write_bytes((database / "red" / "0.png").read_bytes())
    (database / "grey").rename(database / os.fsdecode(b"gr\xe9"))
    done = run(
        write_recipe(RECIPE.replace("  - evaluate", "  - project: {encoder: retriever, real: database}\n  - evaluate")),
        "limits.skipped=0.4",
    )
    reasons = skipped_rows(done)
    assert "index: red/caf\\xe9.png" in reasons and "index: gr\\xe9/0.png" in reasons
    assert {step.partition(":")[0] for step in reasons} >= {"index", "evaluate"}
    assert set(reasons.values()) <= {
        "its name, or that of a folder it lies in, is not UTF-8; rename it",
        "no photograph shows 'grey'",
    }
    found = pandas.read_parquet(next(done.folder.glob("steps/retrieve-*")) / "references")
    assert not found.id.str.contains("caf").any()


def test_photographs_of_such_names_are_skipped_where_each_is_a_prompt(run, write_recipe, database):
    (database / "red" / LATIN).write_bytes((database / "red" / "0.png").read_bytes())
    lines = [line for line in RECIPE.splitlines() if line.startswith(("parts", "  database", "steps", "  - photo"))]
    done = run(write_recipe("\n".join(lines)))
    assert list(skipped_rows(done)) == ["photographs real: red/caf\\xe9.png"]


def test_a_class_whose_name_is_no_text_is_refused_and_shown(tmp_path):
    made.save(tmp_path / os.fsdecode(b"ros\xe9") / "0.png")
    made.save(tmp_path / "daisy" / "0.png")
    images = ImageFolder(str(tmp_path))
    with pytest.raises(RealismError, match=r"the subject 'ros\\xe9' is no UTF-8; rename its folder"):
        list(ClassPrompts(images).prompts())
    with pytest.raises(RealismError, match=r"the class 'ros\\xe9' is no UTF-8; rename its folder"):
        ZeroShot(None, images).score([Picture(tiny.picture(0), Prompt("p", "a rose"))])
    assert {r.subject for r in ImageFolder(str(tmp_path), share=(0.0, 0.999)).records()} >= {"daisy"}


@dataclass
class Odd(Images):
    """One record, as a plugin may give it."""

    record: object = None
    part_name = "odd"

    def records(self):
        yield self.record


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ("a.png", "images 'odd' breaks its contract: the source gives a str, not a Record"),
        (Record(5, Path("a.png")), "images 'odd' breaks its contract: the id of record 5 is 5, not a text"),
        (Record("a", "a.png"), "images 'odd' breaks its contract: the path of record 'a' is 'a.png', not a Path"),
        (
            Record("a", Path("a.png"), None),
            "images 'odd' breaks its contract: the subject of record 'a' is nothing",
        ),
        (
            Record("a", Path("a.png"), "", {"k": {1, 2}}),
            "images 'odd' breaks its contract: record 'a' cannot be written down: Object of type set",
        ),
        (
            Record("a", Path("a.png"), "", {"k": b"x"}),
            "images 'odd' breaks its contract: record 'a' cannot be written down: Object of type bytes",
        ),
    ],
)
def test_a_record_that_cannot_be_written_down_is_refused_with_its_collection(record, sentence):
    with pytest.raises(RealismError) as caught:
        list(rows_of(Odd(record)))
    assert str(caught.value).startswith(sentence)


@dataclass
class HalfPrompts(Prompts):
    """A prompt with half a sign in its id."""

    def prompts(self):
        yield Prompt("\ud83d", "a rose")


def test_a_prompt_that_cannot_be_written_down_is_shown(tmp_path):
    from realism.steps.prompts import ReadPrompts
    from realism.testing import run_step

    with pytest.raises(RealismError, match=r"prompts: prompt '\\ud83d' cannot be written down: its id is no Unicode"):
        run_step(ReadPrompts(HalfPrompts()), tmp_path, {})


# Folders and links


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path, monkeypatch, caplog):
    tiny.image_folder(tmp_path, ("rose", "daisy"), each=1)
    look = os.scandir

    def refuse(path):
        if str(path).endswith("rose"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [r.id for r in ImageFolder(str(tmp_path)).records()] == ["daisy/0.png"]
    [said] = caplog.messages
    assert said == f"'{tmp_path}/rose' cannot be looked into, and its images are missing: Permission denied"


def test_links_to_folders_are_not_followed_and_that_is_told(tmp_path, caplog):
    tiny.image_folder(tmp_path / "photos", ("rose",), each=1)
    tiny.image_folder(tmp_path / "elsewhere", ("daisy",), each=1)
    (tmp_path / "photos" / "daisy").symlink_to(tmp_path / "elsewhere" / "daisy")
    (tmp_path / "photos" / "rose" / "circle").symlink_to(tmp_path / "photos")
    assert [r.id for r in ImageFolder(str(tmp_path / "photos")).records()] == ["rose/0.png"]
    [said] = caplog.messages
    assert said.startswith(f"links to folders are not followed: 2 in '{tmp_path}/photos', the first: ")


def test_what_only_looks_like_an_image_is_skipped(run, write_recipe, database, monkeypatch):
    red = database / "red"
    (red / "x.png").mkdir()
    (red / "x.png" / "in.png").write_bytes((red / "0.png").read_bytes())
    (red / "circle.png").symlink_to(red / "circle.png")
    (red / "nowhere.png").symlink_to(red / "gone.png")
    pipe(red / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(red)  # as the name of a socket may not be long
        listening.bind("s.png")
        done = run(write_recipe(RECIPE.replace("  - photographs: {images: database, name: real}\n", "")))
    assert {id: reason for id, reason in skipped_rows(done).items() if id.startswith("index")} == {
        "index: red/circle.png": "Too many levels of symbolic links",
        "index: red/nowhere.png": "it is not there",
        "index: red/pipe.png": "it is a pipe, no file",
        "index: red/s.png": "it is a socket, no file",
    }


def test_a_recipe_and_a_list_of_classes_are_files(tmp_path, realism):
    pipe(tmp_path / "recipe.yaml")
    assert realism("check", "recipe.yaml") == (2, "realism: 'recipe.yaml' is a pipe or a device; a recipe is a file")
    made.imagenet(tmp_path / "imagenet")
    source = TorchvisionDataset("imagenet", str(tmp_path / "imagenet"), classes=str(pipe(tmp_path / "names.txt")))
    with pytest.raises(RealismError, match=r"names\.txt: it cannot be read: it is a pipe, no file"):
        list(source.records())


# Tars


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(RealismError, match=sentence) as caught:
        list(WebDataset(str(path)).records())
    assert "\n" not in str(caught.value)


def test_an_archive_of_another_kind_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.tar", "w") as archive:
        archive.writestr("a.jpg", made.encoded(0))
    refused(tmp_path / "x.tar", "compressed with zip; only a plain tar can be read in any order: unpack it")
    made.tar(tmp_path / "y.tar", {"BZh1/a.jpg": made.encoded(0)})
    assert [r.id for r in WebDataset(str(tmp_path / "y.tar")).records()] == ["y.tar/BZh1/a.jpg"]


def sized(path: Path, size: int, hole: int = 0) -> Path:
    """A tar whose one image claims a size, in a file with a hole of that many bytes."""
    info = tarfile.TarInfo("a.jpg")
    info.size = size
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + made.encoded(0))
    with path.open("r+b") as file:
        file.truncate(max(512 * 4, hole))
    return path


def test_a_member_of_absurd_size_is_not_read(tmp_path):
    for size in (2**62, -512, -(2**40)):
        refused(sized(tmp_path / "x.tar", size), "damaged, or no tar")
    with pytest.raises(UnreadableImage, match="a member of 2,000,000,000 bytes, of which at most 1,073,741,824 are"):
        read_image(sized(tmp_path / "y.tar", 2_000_000_000, 2_000_002_560) / "a.jpg")
    made.tar(tmp_path / "z.tar", {"a.jpg": made.encoded(0), "a.json": b" " * (16 * 2**20 + 1)})
    refused(tmp_path / "z.tar", "a member of 16,777,217 bytes")


def test_names_and_captions_of_members_that_are_no_text_do_not_stop_a_run(tmp_path):
    members = {"a.jpg": made.encoded(0), "a.json": '{"caption": "a \\ud83d rose", "subject": "\\udfff"}'}
    made.tar(tmp_path / "x.tar", members | {LATIN: made.encoded(1)})
    first, second = rows_of(WebDataset(str(tmp_path / "x.tar")))
    assert (first.subject, first.metadata) == (
        "\N{REPLACEMENT CHARACTER}",
        {"caption": "a \N{REPLACEMENT CHARACTER} rose"},
    )
    assert second.id == f"x.tar/{LATIN}"


def test_metadata_of_members_that_are_nested_too_deep_is_said(tmp_path):
    made.tar(tmp_path / "x.tar", {"a.jpg": made.encoded(0), "a.json": '{"x": ' + "[" * 5000 + "]" * 5000 + "}"})
    refused(tmp_path / "x.tar", r"x\.tar/a\.json: it is nested more than 50 deep")


TAR = io.BytesIO()
with tarfile.open(fileobj=TAR, mode="w", format=tarfile.PAX_FORMAT) as _archive:
    for _name, _content in {
        "é/1.jpg": made.encoded(0),
        "é/1.json": b'{"subject": "rose"}',
        "x" * 150 + ".png": b"",
    }.items():
        _info = tarfile.TarInfo(_name)
        _info.size = len(_content)
        _archive.addfile(_info, io.BytesIO(_content))


def listed(path: Path, folder: Path) -> None:
    """What is in the tar can be written down, or is refused in one sentence."""
    try:
        rows = [row for row in rows_of(WebDataset(str(path))) if row.id.isascii()]
        assert read_shard(write_shard(rows, RecordRow, folder, 0), RecordRow) == rows
    except RealismError as error:
        assert "\n" not in str(error)
        str(error).encode()


@settings(max_examples=80, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, len(TAR.getvalue()) - 1), st.binary(min_size=1, max_size=12)), max_size=4),
    cut=st.integers(0, 3000),
)
def test_a_tar_that_is_cut_or_changed_is_records_or_a_sentence(tmp_path, places, cut):
    raw = bytearray(TAR.getvalue())
    for place, content in places:
        raw[place : place + len(content)] = content
    (tmp_path / "x.tar").write_bytes(raw[: len(raw) - cut])
    listed(tmp_path / "x.tar", tmp_path / "rows")


@settings(max_examples=40, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000))
def test_random_bytes_are_no_tar(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    listed(tmp_path / "x.tar", tmp_path / "rows")
