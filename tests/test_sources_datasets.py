"""Databases as researchers have them on disk: Stanford Dogs, what torchvision reads, and tables of files."""

import re
import shutil

import examples
import pandas
import pytest
import tiny
import tiny_databases as made
import yaml
from realism import RealismError
from realism.base.images import read_image
from realism.plugins.manager import plugins
from realism.sources.image_folder import ImageFolder
from realism.sources.image_table import ImageTable
from realism.sources.stanford_dogs import StanfordDogs
from realism.sources.torchvision_dataset import TorchvisionDataset
from realism.testing.making import make_part
from world import ROOT


@pytest.fixture(autouse=True)
def any_list(monkeypatch):
    """torchvision takes our small lists for Oxford's."""
    from torchvision.datasets import Flowers102

    for key, (name, _) in Flowers102._file_dict.items():
        monkeypatch.setitem(Flowers102._file_dict, key, (name, None))


def refused(source, sentence):
    with pytest.raises(RealismError, match=sentence) as caught:
        list(source.records())
    assert "\n" not in str(caught.value)


# Stanford Dogs


def test_stanford_dogs_are_read_by_their_lists_with_breeds_in_plain_words(tmp_path):
    made.dogs(tmp_path)
    train, test = list(StanfordDogs(str(tmp_path)).records()), list(StanfordDogs(str(tmp_path), "test").records())
    assert [r.subject for r in train] == ["Chihuahua"] * 2 + ["soft-coated wheaten terrier"] * 2
    assert [r.id for r in test] == [
        "n02085620-Chihuahua/n02085620_2.jpg",
        "n02098105-soft-coated_wheaten_terrier/n02098105_2.jpg",
    ]
    assert read_image(train[0].path).size == (40, 36)
    assert train[0].metadata["source"].startswith("http://vision.stanford.edu/")
    assert sorted(train + test, key=lambda r: r.id) == list(StanfordDogs(str(tmp_path), "all").records())


def test_the_lists_of_stanford_dogs_may_lie_beside_the_images(tmp_path):
    made.dogs(tmp_path)
    for path in (tmp_path / "lists").iterdir():
        path.rename(tmp_path / path.name)
    assert len(list(StanfordDogs(str(tmp_path)).records())) == 4


def test_what_is_wrong_with_stanford_dogs_is_said(tmp_path):
    refused(StanfordDogs(str(tmp_path)), "no folder 'Images'")
    made.save(tmp_path / "Images" / "Chihuahua" / "0.jpg")
    refused(StanfordDogs(str(tmp_path)), r"no train_list\.mat in .*split: all needs none")
    refused(StanfordDogs(str(tmp_path), "all"), "'Chihuahua/0.jpg' in .* no folder like n02085620-Chihuahua")
    made.mat(tmp_path / "train_list.mat", file_list=["../../n1-a/x.jpg"])
    refused(StanfordDogs(str(tmp_path)), "points outside")
    made.mat(tmp_path / "train_list.mat", other=[1])
    refused(StanfordDogs(str(tmp_path)), "no variable 'file_list'")
    (tmp_path / "train_list.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(range(200)))
    refused(StanfordDogs(str(tmp_path)), "not a list of Stanford Dogs")


# torchvision


@pytest.mark.parametrize(
    ("dataset", "split", "wanted"),
    [
        ("flowers102", "train", ["pink primrose", "pink primrose", "hard-leaved pocket orchid"]),
        ("flowers102", "test", ["blackberry lily"] * 2),
        ("stanford_cars", "train", ["AM General Hummer SUV 2000", "Acura RL Sedan 2012"] * 2),
        ("stanford_cars", "test", ["AM General Hummer SUV 2000", "Acura RL Sedan 2012"] * 2),
        ("imagenet", "train", ["tench", "crane"]),
        ("imagenet", "val", ["tench", "crane"]),
    ],
)
def test_torchvisions_datasets_are_listed_with_the_names_of_their_classes(tmp_path, dataset, split, wanted):
    getattr(made, dataset)(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    source = TorchvisionDataset(dataset, str(tmp_path), split)
    found = list(source.records())
    assert [r.subject for r in found] == wanted
    assert found[0].path == tmp_path / found[0].id and read_image(found[0].path).size == (40, 36)
    assert found[0].metadata["label"] == found[1].metadata["label"] if wanted[0] == wanted[1] else True
    assert all(path.exists() for path in source.inputs())
    assert sorted(tmp_path.rglob("*")) == before, "a source writes nothing"


def test_a_file_of_classes_renames_them(tmp_path):
    made.imagenet(tmp_path)
    (tmp_path / "names.txt").write_text("tench fish\nconstruction crane\n")
    source = TorchvisionDataset("imagenet", str(tmp_path), classes=str(tmp_path / "names.txt"))
    assert [r.subject for r in source.records()] == ["tench fish", "construction crane"]
    (tmp_path / "names.txt").write_text("tench fish\n")
    refused(source, "has 1 names; imagenet has 2 classes")


@pytest.mark.parametrize(
    ("dataset", "split", "sentence"),
    [
        ("flowers102", "train", "Flowers102.root, download=True. fetches it"),
        ("stanford_cars", "train", "torchvision cannot download it, so bring a copy"),
        ("imagenet", "val", "makes it once from the archives"),
        ("imagenet", "test", "imagenet has no split 'test'; available: train, val"),
        ("stanford_cars", "val", "available: train, test"),
    ],
)
def test_a_dataset_that_is_not_there_says_how_to_get_it(tmp_path, dataset, split, sentence):
    refused(TorchvisionDataset(dataset, str(tmp_path), split), sentence)


def test_damaged_lists_of_torchvisions_datasets_are_said(tmp_path, monkeypatch):
    made.stanford_cars(tmp_path)
    (tmp_path / "stanford_cars" / "devkit" / "cars_train_annos.mat").write_bytes(b"x" * 300)
    refused(
        TorchvisionDataset("stanford_cars", str(tmp_path)), "torchvision cannot read stanford_cars in .*get it anew"
    )
    refused(TorchvisionDataset("stanford_cars", str(tmp_path), classes="names.txt"), "no file 'names.txt'")
    monkeypatch.undo()
    made.flowers102(tmp_path)
    refused(
        TorchvisionDataset("flowers102", str(tmp_path)), "not found or corrupted; get it anew from https://www.robots"
    )


# Tables


def table(folder, suffix, rows):
    path = folder / f"photos.{suffix}"
    frame = pandas.DataFrame(rows)
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_names_images_and_what_is_known_of_them(tmp_path, suffix):
    made.save(tmp_path / "a" / "0.png")
    elsewhere = made.save(tmp_path.parent / f"{tmp_path.name}-elsewhere" / "1.png")
    rows = [
        {"image": "a/0.png", "species": "rose", "text": "a rose", "author": "Ann", "licence": "CC0"},
        {"image": str(elsewhere), "species": None, "text": None, "author": "Bo", "licence": None},
    ]
    source = ImageTable(table(tmp_path, suffix, rows), "image", "species", "text", licence="CC-BY")
    first, second = source.records()
    assert (first.id, first.path, first.subject) == ("a/0.png", tmp_path / "a" / "0.png", "rose")
    assert first.metadata == {"caption": "a rose", "author": "Ann", "licence": "CC0"}
    assert (second.path, second.subject, second.metadata) == (elsewhere, "", {"author": "Bo", "licence": "CC-BY"})
    assert read_image(second.path).size == (40, 36)


def test_a_table_may_have_ids_and_name_members_of_tars(tmp_path):
    made.shards(tmp_path)
    rows = [{"id": "x", "file": "00001.tar/000004.jpg"}, {"id": "y", "file": "00001.tar/000005.jpg"}]
    found = list(ImageTable(table(tmp_path, "csv", rows)).records())
    assert [r.id for r in found] == ["x", "y"] and read_image(found[0].path).size == (40, 36)


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([{"path": "0.png"}], {}, "no column 'file'.*; available: path"),
        ([{"file": "0.png"}], {"subject": "class"}, "no column 'class'"),
        ([{"file": "0.png", "klass": "a"}], {"subject": "class"}, "did you mean 'klass'"),
        ([{"file": "0.png"}, {"file": "", "a": 1}], {}, r"photos\.csv:3: no path in column 'file'"),
        ([{"file": "https://example.org/0.png"}], {}, "is an address; download the images"),
        ([{"file": "0.png"}, {"file": "0.png"}], {}, r"photos\.csv:3: '0\.png' comes a second time"),
        ([{"file": "0.png"}][:0], {}, "no column 'file'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, rows, options, sentence):
    refused(ImageTable(table(tmp_path, "csv", rows), **options), sentence)


def test_a_table_that_is_not_there_or_damaged_or_empty_is_said(tmp_path):
    refused(ImageTable(str(tmp_path / "photos.csv")), "no such file")
    refused(ImageTable(str(tmp_path / "photos.xlsx")), r"expected a file of kind \.jsonl")
    (tmp_path / "photos.parquet").write_text("x")
    refused(ImageTable(str(tmp_path / "photos.parquet")), "not a Parquet file")
    (tmp_path / "photos.csv").write_text("file,subject\n")
    refused(ImageTable(str(tmp_path / "photos.csv")), "no image in it")


# Shares


def test_two_shares_of_any_source_have_no_image_in_common_and_all_together(tmp_path):
    rows = [{"file": f"{i}.png"} for i in range(200)]
    path = table(tmp_path, "csv", rows)
    few = [r.id for r in ImageTable(path, share=(0.0, 0.2)).records()]
    most = [r.id for r in ImageTable(path, share=(0.2, 1.0)).records()]
    assert 20 <= len(few) <= 60 and sorted(few + most) == sorted(row["file"] for row in rows)
    for i in range(200):
        (tmp_path / f"{i}.png").touch()
    assert sorted(r.id for r in ImageFolder(str(tmp_path), share=(0.0, 0.2)).records()) == sorted(few)


def test_a_share_that_holds_nothing_is_said(tmp_path):
    path = table(tmp_path, "csv", [{"file": "0.png"}])
    refused(ImageTable(path, share=(0.5, 0.2)), r"share \[0\.5, 0\.2\] holds nothing")
    refused(ImageTable(path, share=(0.0, 1e-9)), "none of the 1 images lies in share")


# The page that tells of them


PAGE = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
LINES = re.findall(r"^  \w+: +(\{use: .*\})$", PAGE, re.MULTILINE)


@pytest.fixture
def databases(tmp_path, monkeypatch):
    """The folders of docs/databases.md."""
    monkeypatch.chdir(tmp_path)
    tiny.image_folder(tmp_path / "photos")
    made.table(tmp_path / "table")
    _, *rows = (tmp_path / "table" / "photos.csv").read_text().splitlines()
    (tmp_path / "table" / "other.csv").write_text("\n".join(["image,species,text,licence", *rows]))
    made.shards(tmp_path / "shards")
    made.flowers102(tmp_path / "data")
    made.stanford_cars(tmp_path / "data")
    made.imagenet(tmp_path / "imagenet")
    (tmp_path / "names.txt").write_text("tench\nconstruction crane\n")
    made.dogs(tmp_path / "dogs")
    shutil.copytree(examples.embeddings(), tmp_path / "laion")


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_page_on_databases_makes_a_source(databases, line):
    options = yaml.safe_load(line)
    source = make_part(options.pop("use"), options, plugins().registry)
    assert all(read_image(record.path) for record in source.records())


def test_the_page_on_databases_names_every_source_of_files():
    ours = [e.name for e in plugins().registry.entries("images") if e.plugin == "core"]
    assert [name for name in ours if f"`{name}`" not in PAGE] == []
