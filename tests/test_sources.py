"""Prompts and images from files and folders."""

import json
from dataclasses import dataclass

import pandas
import pytest
import tiny
from realism import Images, Prompt, RealismError, Record
from realism.sources.class_prompts import ClassPrompts
from realism.sources.image_folder import ImageFolder
from realism.sources.prompt_file import PromptFile
from realism.sources.union import Union

ROWS = [
    {"id": "a", "text": "a red rose", "subject": "rose", "metadata": {"split": "test"}, "colour": "red"},
    {"text": "sand"},
]
WANTED = [Prompt("a", "a red rose", "rose", {"colour": "red", "split": "test"}), Prompt("00002", "sand")]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    else:
        table = pandas.DataFrame([{k: json.dumps(v) if k == "metadata" else v for k, v in r.items()} for r in rows])
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_prompts_are_the_same_whatever_the_format_of_their_file(tmp_path, suffix):
    assert list(PromptFile(write(tmp_path / f"p.{suffix}", ROWS)).prompts()) == WANTED


def test_a_text_file_has_one_prompt_a_line(tmp_path):
    (tmp_path / "p.txt").write_text("\ufeffa rose\n\n  sand  \n", encoding="utf-8")
    found = list(PromptFile(str(tmp_path / "p.txt")).prompts())
    assert found == [Prompt("00001", "a rose"), Prompt("00002", "sand")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "p.jsonl",
            '{"text": "a", "id": 1}\n{"text": "b", "id": "1"}\n',
            r"p\.jsonl:2: id '1' is taken by .*p\.jsonl:1",
        ),
        ("p.jsonl", '{"text": "a"}\n{"text": "  "}\n', r"p\.jsonl:2: no text"),
        ("p.jsonl", '{"prompt": "a"}\n', r"p\.jsonl:1: no text; its columns are: prompt"),
        ("p.jsonl", '{"text": "a"\n', r"p\.jsonl:1: not JSON"),
        ("p.jsonl", '"a"\n', r"p\.jsonl:1: expected an object"),
        ("p.jsonl", '{"text": "a", "metadata": 3}\n', r"p\.jsonl:1: metadata should be an object"),
        ("p.jsonl", "", r"no prompt in it"),
        ("p.csv", "text,id\na,1,2\n", r"p\.csv:2: more cells than the header"),
        ("p.parquet", "text", r"not a Parquet file"),
        ("p.txt", b"\xff\xfe\x00rose", r"not UTF-8 text"),
        ("p.docx", "text", r"'.*p\.docx' is no prompt file: expected \.jsonl"),
        ("p.jsonl", None, r"no prompt file '.*p\.jsonl'"),
    ],
)
def test_a_bad_prompt_file_is_said_with_its_line(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RealismError, match=sentence):
        list(PromptFile(str(tmp_path / name)).prompts())


@dataclass
class Two(Images):
    """Two subjects, and an image without."""

    def records(self):
        yield from (Record(i, i, s) for i, s in [("1", "sea_rose"), ("2", "colts-foot"), ("3", "sea_rose"), ("4", "")])


def test_each_class_gets_its_prompt_in_plain_words():
    assert list(ClassPrompts(Two()).prompts()) == [
        Prompt("colts-foot", "A photo of a colts-foot", "colts-foot"),
        Prompt("sea_rose", "A photo of a sea rose", "sea_rose"),
    ]


def test_several_prompts_of_a_class_have_ids_of_their_own():
    found = list(ClassPrompts(Two(), template="{subject}!", per_class=3).prompts())
    assert [p.id for p in found][:3] == ["colts-foot-0", "colts-foot-1", "colts-foot-2"]
    assert {p.text for p in found} == {"colts-foot!", "sea rose!"}


def test_a_template_without_a_subject_is_refused():
    assert "has no '{subject}'" in ClassPrompts(Two(), template="A photo").options_error()


def test_a_folder_is_read_in_order_with_the_subject_from_its_sub_folders(tmp_path):
    tiny.image_folder(tmp_path, ("rose", "daisy"), each=2)
    (tmp_path / "daisy" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    tiny.picture(0).save(tmp_path / ".cache" / "x.png")
    (tmp_path / "rose" / "broken.JPG").write_bytes(b"")
    found = list(ImageFolder(str(tmp_path), licence="CC0").records())
    assert [r.id for r in found] == ["daisy/0.png", "daisy/1.png", "rose/0.png", "rose/1.png", "rose/broken.JPG"]
    assert [r.subject for r in found] == ["daisy"] * 2 + ["rose"] * 3
    assert all(r.metadata == {"licence": "CC0"} for r in found)
    assert found == list(ImageFolder(str(tmp_path), licence="CC0").records())


def test_images_may_have_no_subject(tmp_path):
    tiny.image_folder(tmp_path)
    assert {r.subject for r in ImageFolder(str(tmp_path), labels="none").records()} == {""}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_metadata_file_says_more_of_the_images(tmp_path, suffix):
    tiny.image_folder(tmp_path, ("a", "b"), each=1)
    rows = [{"file": "a/0.png", "species": "sea rose", "caption": "a rose", "licence": "CC-BY"}]
    table = pandas.DataFrame(rows)
    table.to_csv(tmp_path / "metadata.csv") if suffix == "csv" else table.to_parquet(tmp_path / "metadata.parquet")
    first, second = ImageFolder(str(tmp_path), licence="CC0").records()
    assert first.subject == "sea rose" and second.subject == "b"
    assert first.metadata["caption"] == "a rose" and first.metadata["licence"] == "CC-BY"
    assert second.metadata == {"licence": "CC0"}


def test_a_folder_without_images_or_not_there_is_said(tmp_path):
    with pytest.raises(RealismError, match="no image in"):
        list(ImageFolder(str(tmp_path)).records())
    assert ImageFolder(str(tmp_path / "photos")).options_error() == f"no image folder '{tmp_path / 'photos'}'"


def test_a_union_lists_all_images_of_its_sources_and_says_whose_each_is(tmp_path):
    cars, flowers = (ImageFolder(str(tiny.image_folder(tmp_path / name, each=1))) for name in ("cars", "flowers"))
    cars.part_name, flowers.part_name = "cars", "flowers"
    records = list(Union([cars, flowers]).records())
    assert [record.id for record in records] == [
        f"{source.part_name}/{record.id}" for source in (cars, flowers) for record in source.records()
    ]
    assert [record.metadata["source"] for record in records] == ["cars", "cars", "flowers", "flowers"]
    assert all(record.path.is_file() for record in records)


def test_sources_of_a_union_have_names_of_their_own(tmp_path):
    twins = [ImageFolder(str(tiny.image_folder(tmp_path / "cars", each=1))) for _ in range(2)]
    twins[0].part_name = twins[1].part_name = "cars"
    assert "two sources are called 'cars'" in str(Union(twins).options_error())
