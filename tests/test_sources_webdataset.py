"""WebDataset shards: read where they lie, and refused in one sentence when they cannot be."""

import gzip
import io
import random
import tarfile
import threading
import tracemalloc

import pandas as pd
import pytest
import tiny
import tiny_databases as made
from realism import RealismError
from realism.base.images import UnreadableImage, image_bytes, open_image_file, read_image, read_images
from realism.report.thumbnails import thumbnail
from realism.runs.fingerprint import describe
from realism.sources.webdataset import WebDataset
from world import RAG


def refused(shards, sentence):
    with pytest.raises(RealismError, match=sentence) as caught:
        list(WebDataset(shards).records())
    assert "\n" not in str(caught.value)


def test_shards_are_listed_with_captions_and_metadata_and_read_without_unpacking(tmp_path):
    made.shards(tmp_path)
    found = list(WebDataset(f"{tmp_path}/*.tar").records())
    assert [r.id for r in found] == [f"0000{i // 3}.tar/00000{i}.jpg" for i in range(6)]
    assert found[4].path == tmp_path / "00001.tar" / "000004.jpg"
    assert found[4].subject == "subject 1"
    assert found[4].metadata == {"caption": "picture 000004", "source": "https://example.org/000004"}
    read = [image_bytes(image) for image in read_images(r.path for r in found)]
    (tmp_path / "4.jpg").write_bytes(made.encoded(4))
    assert len(set(read)) == 6 and read[4] == image_bytes(read_image(tmp_path / "4.jpg"))
    assert open_image_file(found[4].path).read() == made.encoded(4)
    assert thumbnail(found[4].path).width == 40
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000.tar", "00001.tar", "4.jpg"]


def test_shards_may_be_one_file_or_a_list_and_keep_their_ids(tmp_path):
    made.shards(tmp_path)
    one, two = str(tmp_path / "00000.tar"), str(tmp_path / "00001.tar")
    whole = list(WebDataset(f"{tmp_path}/*.tar").records())
    assert list(WebDataset([one, two]).records()) == whole
    assert list(WebDataset([one, f"{tmp_path}/*.tar"]).records()) == whole
    assert list(WebDataset(two).records()) == whole[3:]


def test_members_may_lie_in_folders_in_any_order_and_beside_other_files(tmp_path):
    members = {
        "./b/2.txt": "two",
        "./a/1.PNG": made.encoded(1, "PNG"),
        "./a/._1.png": b"of a Mac",
        "./b/2.seg.png": b"a mask",
        "./b/2.jpg": made.encoded(2),
        "./a/1.txt": "o\xe9".encode("latin-1"),
        "./names.json": {"all": 2},
    }
    made.tar(tmp_path / "x.tar", members)
    found = {r.id: r for r in WebDataset(str(tmp_path / "x.tar")).records()}
    assert sorted(found) == ["x.tar/a/1.PNG", "x.tar/b/2.jpg"]
    assert found["x.tar/b/2.jpg"].metadata == {"caption": "two"}
    assert found["x.tar/a/1.PNG"].metadata == {"caption": "o\N{REPLACEMENT CHARACTER}"}
    assert {read_image(r.path).size for r in found.values()} == {(40, 36)}


def test_a_changed_shard_is_read_anew_and_makes_the_steps_anew(tmp_path):
    made.shards(tmp_path, count=1)
    source = WebDataset(f"{tmp_path}/*.tar")
    first, before = next(source.records()), describe(source, {})
    old = image_bytes(read_image(first.path))
    made.tar(tmp_path / "00000.tar", {"000.txt": "moved", "000000.jpg": made.encoded(77)})
    assert describe(source, {}) != before
    assert image_bytes(read_image(first.path)) != old


def test_nothing_but_files_of_a_tar_is_read(tmp_path):
    secret = made.save(tmp_path / "secret.png")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(secret, "a.png")
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"link{kind.decode()}.png")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
    assert [r.id for r in WebDataset(str(tmp_path / "x.tar")).records()] == ["x.tar/a.png"]
    for name in ("link1.png", "link2.png", "../secret.png", "b.png", ""):
        with pytest.raises(UnreadableImage, match="it is not there"):
            read_image(tmp_path / "x.tar" / "y" / name)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg"])
def test_members_that_point_outside_are_refused(tmp_path, name):
    made.tar(tmp_path / "x.tar", {name: made.encoded(0)})
    refused(str(tmp_path / "x.tar"), f"member '{name}' points outside")


def test_a_folder_that_is_called_like_a_tar_is_a_folder(tmp_path):
    path = made.save(tmp_path / "x.tar" / "a.png")
    assert read_image(path).size == (40, 36)
    with pytest.raises(UnreadableImage, match="it is not there"):
        read_image(path.parent / "b.png")


def test_compressed_shards_are_refused(tmp_path):
    made.shards(tmp_path, count=1)
    packed = gzip.compress((tmp_path / "00000.tar").read_bytes())
    (tmp_path / "00000.tar").write_bytes(packed)
    (tmp_path / "b.tar.gz").write_bytes(packed)
    refused(str(tmp_path / "00000.tar"), "compressed with gzip; only a plain tar")
    refused(str(tmp_path / "b.tar.gz"), r"b\.tar\.gz' is no plain \.tar file")
    with pytest.raises(UnreadableImage, match="compressed with gzip"):
        read_image(tmp_path / "00000.tar" / "000000.jpg")


def test_shards_that_are_not_there_or_hold_no_image_are_said(tmp_path):
    refused(f"{tmp_path}/*.tar", r"no shard '.*/\*\.tar'; give \.tar files")
    refused([], "no shard")
    refused(str(tmp_path), "is no plain .tar file")
    made.tar(tmp_path / "x.tar", {"a.txt": "no image"})
    refused(str(tmp_path / "x.tar"), "no image in the shards")
    made.tar(tmp_path / "x.tar", {"a.jpg": made.encoded(0), "a.json": "{"})
    refused(str(tmp_path / "x.tar"), r"x\.tar/a\.json: not JSON")
    made.tar(tmp_path / "x.tar", {"a.jpg": made.encoded(0), "a.json": "[1]"})
    refused(str(tmp_path / "x.tar"), r"x\.tar/a\.json: expected an object")


def damaged(whole):
    header = whole.index(b"000001.jpg")
    return {
        "empty": b"",
        "no tar": b"this is no tar" * 100,
        "cut in a member": whole[: header + 512 + 100],
        "cut in a header": whole[: header + 100],
        "broken header": whole[:header] + b"\xff" * 300 + whole[header + 300 :],
    }


@pytest.mark.parametrize("how", ["empty", "no tar", "cut in a member", "cut in a header", "broken header"])
def test_a_damaged_tar_is_named_and_its_images_are_unreadable(tmp_path, how):
    made.shards(tmp_path, count=1)
    path = tmp_path / "00000.tar"
    path.write_bytes(damaged(path.read_bytes())[how])
    refused(str(path), r"00000\.tar: damaged, or no tar: .*; copy or make it again")
    with pytest.raises(UnreadableImage, match="damaged, or no tar"):
        read_image(path / "000000.jpg")


def test_whatever_is_broken_in_a_tar_gives_a_sentence(tmp_path):
    made.shards(tmp_path, count=1)
    path, chance = tmp_path / "00000.tar", random.Random(0)
    whole = path.read_bytes()
    for _ in range(60):
        raw = bytearray(whole)
        for _ in range(chance.choice([1, 5, 200])):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw)
        try:
            list(read_images(r.path for r in WebDataset(str(path)).records()))
        except RealismError as error:
            assert "\n" not in str(error)


def test_many_threads_read_one_tar_and_its_headers_are_read_once(tmp_path, monkeypatch):
    made.shards(tmp_path, count=1, each=20)
    opened = []
    original = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: opened.append(1) or original(*a, **k))
    found, lock = {}, threading.Lock()

    def read(i):
        image = read_image(tmp_path / "00000.tar" / f"{i:06d}.jpg")
        with lock:
            found[i] = image_bytes(image)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1 and len(set(found.values())) == 20


def test_records_come_as_they_are_asked_for_and_hold_no_image(tmp_path):
    big = io.BytesIO()
    tiny.picture(0, (900, 900)).save(big, "BMP")  # 2.4 MB
    for s in range(3):
        made.tar(tmp_path / f"{s}.tar", {f"{i}.bmp": big.getvalue() for i in range(4)})
    (tmp_path / "2.tar").write_bytes(b"never met")
    tracemalloc.start()
    records = WebDataset(f"{tmp_path}/*.tar").records()
    first = [next(records) for _ in range(8)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({r.id for r in first}) == 8 and peak < 1_000_000


def test_a_run_retrieves_from_shards_and_shows_what_it_found(run, write_recipe, tmp_path):
    made.shards(tmp_path / "shards")
    recipe = RAG.replace("{use: image_folder, path: DATABASE}", f"{{use: webdataset, shards: {tmp_path}/shards/*.tar}}")
    done = run(write_recipe("\n".join(line for line in recipe.splitlines() if "evaluate" not in line)))
    found = pd.read_parquet(next(done.folder.glob("steps/retrieve-*/references")))
    assert found.path.str.contains(r"\.tar/\d+\.jpg").all()
    page = (done.folder / "report.html").read_text()
    assert "https://example.org/00000" in page and "not there" not in page
