"""Tables of users, whatever is in them, end in rows that can be written down, or in one sentence."""

from __future__ import annotations

import datetime
import decimal
import json
import string
from pathlib import Path
from pipes import pipe

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realism import Images, Prompts, RealismError
from realism.base.tables import read_shard, write_shard
from realism.data.rows import PromptRow, RecordRow
from realism.parts.embedder import rows_of
from realism.sources.embedding_folder import EmbeddingFolder
from realism.sources.image_folder import ImageFolder
from realism.sources.image_table import ImageTable
from realism.sources.prompt_file import PromptFile
from realism.sources.rows import read_columns, read_rows
from realism_dreamsync.benchmarks import T2iCompBench, Tifa

MANY = settings(
    max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
KINDS = (".csv", ".jsonl", ".parquet")


def refused(source, sentence):
    with pytest.raises(RealismError, match=sentence) as caught:
        list(source.records() if isinstance(source, Images) else source.prompts())
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


def written(source, folder: Path) -> list:
    """The source's rows, as a run keeps them; empty if it refuses in one sentence."""
    try:
        if isinstance(source, Prompts):
            rows = [PromptRow(p.id, p.text, p.subject, dict(p.metadata), p.rewritten) for p in source.prompts()]
            return read_shard(write_shard(rows, PromptRow, folder, 0), PromptRow)
        return read_shard(write_shard(list(rows_of(source)), RecordRow, folder, 0), RecordRow)
    except RealismError as error:
        assert "\n" not in str(error)
        str(error).encode()
        return []


def parquet(path: Path, **columns) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


# Values that JSON does not have


def test_values_of_every_kind_become_what_json_can_say(tmp_path):
    path = parquet(
        tmp_path / "t.parquet",
        file=["a.png"],
        day=[datetime.date(2024, 5, 1)],
        at=[datetime.datetime(2024, 5, 1, 12, 30)],
        price=[decimal.Decimal("19.50")],
        pieces=[decimal.Decimal(7)],
        took=[datetime.timedelta(minutes=2)],
        large=pyarrow.array([2**64 - 1], pyarrow.uint64()),
        many=[[0.5, float("nan"), float("inf")]],
        nothing=[float("nan")],
        camera=[{"make": "A", "since": datetime.date(2020, 1, 1)}],
        names=pyarrow.array([[("en", "rose")]], pyarrow.map_(pyarrow.string(), pyarrow.string())),
    )
    [row] = written(ImageTable(path), tmp_path / "rows")
    assert row.metadata == {
        "day": "2024-05-01",
        "at": "2024-05-01T12:30:00",
        "price": 19.5,
        "pieces": 7,
        "took": 120.0,
        "large": 2**64 - 1,
        "many": [0.5, None, float("inf")],
        "camera": {"make": "A", "since": "2020-01-01"},
        "names": [["en", "rose"]],
    }


def test_bytes_are_left_out_and_that_is_said_once(tmp_path, caplog):
    path = parquet(
        tmp_path / "t.parquet",
        file=["a.png", "b.png"],
        jpg=[b"\xff\xd8", b"\xff"],
        image=[{"bytes": b"1", "path": "a.png"}, {"bytes": b"2", "path": "b.png"}],
    )
    assert [r.metadata for r in written(ImageTable(path), tmp_path / "rows")] == [
        {"image": {"bytes": None, "path": "a.png"}},
        {"image": {"bytes": None, "path": "b.png"}},
    ]
    caplog.clear()
    assert ImageTable(path).options_error() is None  # a check says nothing of it
    list(read_rows(tmp_path / "t.parquet"))
    assert [r.getMessage().removeprefix(f"{tmp_path}/") for r in caplog.records] == [
        "t.parquet: the column 'jpg' holds bytes, which cannot be written as text, and is left out",
        "t.parquet: the column 'image' holds bytes, which cannot be written as text, and is left out",
    ]


def test_a_date_python_has_no_room_for_is_said(tmp_path):
    path = parquet(tmp_path / "t.parquet", file=["a.png"], at=pyarrow.array([2**62], pyarrow.timestamp("ms")))
    refused(ImageTable(path), r"t\.parquet: not a Parquet file, or incomplete: ")


@pytest.mark.parametrize("deep", [60, 400, 100_000])
def test_what_is_nested_too_deep_is_said_in_its_place(tmp_path, deep):
    nested = "[" * deep + "]" * deep
    (tmp_path / "t.jsonl").write_text(f'{{"file": "a.png", "text": "a", "x": {nested}}}\n')
    said = r"t\.jsonl:1: it is nested more than 50 deep"
    refused(ImageTable(str(tmp_path / "t.jsonl")), said)
    refused(PromptFile(str(tmp_path / "t.jsonl")), said)
    (tmp_path / "t.csv").write_text(f'text,metadata\na,"{nested}"\n')
    refused(PromptFile(str(tmp_path / "t.csv")), r"t\.csv:2: (metadata: it is nested more than 50 deep|a cell of more)")
    (tmp_path / "tifa.json").write_text(f'[{{"id": "a_1", "caption": "a", "x": {nested}}}]')
    refused(Tifa(str(tmp_path / "tifa.json")), r"tifa\.json: it is nested more than 50 deep")


# Texts


HALF = '{"file": "a.png", "text": "a \\ud800 rose", "id": "\\ud83d"}\n'


def test_half_a_sign_is_refused_in_its_place_and_shown(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"file": "b.png", "text": "b"}\n' + HALF)
    refused(ImageTable(str(tmp_path / "t.jsonl")), r"t\.jsonl:2: 'a \\ud800 rose' is no Unicode text")
    refused(PromptFile(str(tmp_path / "t.jsonl")), r"t\.jsonl:2: 'a \\ud800 rose' is no Unicode text")
    (tmp_path / "p.csv").write_text('text,metadata\na,"{""k"": ""\\ud800""}"\n')
    refused(PromptFile(str(tmp_path / "p.csv")), r"p\.csv:2: metadata: '\\ud800' is no Unicode text")
    (tmp_path / "tifa.json").write_text('[{"id": "a_1", "caption": "a \\udfff"}]')
    refused(Tifa(str(tmp_path / "tifa.json")), r"tifa\.json: 'a \\udfff' is no Unicode text")


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.txt", "color_val.txt", "tifa.json"])
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_to_be_saved_as_utf_8(tmp_path, name, encoding):
    text = "text,file\na,b.png\nrosé,x.png\n"
    (tmp_path / name).write_bytes(text.encode(encoding))
    part = PromptFile(str(tmp_path / name))
    if name == "color_val.txt":
        part = T2iCompBench(str(tmp_path))
    if name == "tifa.json":
        part = Tifa(str(tmp_path / name))
    line = ":3" if encoding == "latin-1" else ""
    wanted = r"not UTF-8 text \(.*\)" if encoding == "latin-1" else "not UTF-8 text but UTF-16"
    if name == "p.jsonl" and encoding == "latin-1":
        line, wanted = r":(1|3)", f"(not JSON|{wanted})"
    refused(part, rf"{name}{line}: {wanted}")


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.jsonl"])
def test_zero_bytes_are_no_text(tmp_path, name):
    (tmp_path / name).write_text("text,file\na rose,a.png\n".replace("rose", "ro\0se"))
    refused(PromptFile(str(tmp_path / name)), r"t\.\w+:\d: (a zero byte in|not JSON)")


def test_a_path_with_a_zero_byte_is_refused(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"file": "a\\u0000.png"}\n')
    refused(ImageTable(str(tmp_path / "t.jsonl")), r"t\.jsonl:1: the path 'a\\x00\.png' has a zero byte")


def test_a_home_folder_that_nobody_has_is_a_path_that_is_not_there(tmp_path):
    (tmp_path / "t.csv").write_text("file\n~nobody-of-this-name/a.png\n")
    [record] = ImageTable(str(tmp_path / "t.csv")).records()
    assert not record.path.exists()
    assert ImageFolder("~nobody-of-this-name/a").options_error() == "no image folder '~nobody-of-this-name/a'"


def test_a_line_of_megabytes_is_no_prompt(tmp_path):
    (tmp_path / "p.txt").write_text("a rose\n" + "x" * 200_000)
    refused(
        PromptFile(str(tmp_path / "p.txt")), r"p\.txt:2: a text of 200,000 characters; a prompt has at most 100,000"
    )
    (tmp_path / "p.txt").write_text("x" * 10_000_001)
    refused(PromptFile(str(tmp_path / "p.txt")), r"p\.txt:1: a line of more than 10,000,000 characters")


# Tables


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('file,text\na.png,"a rose\nb.png,b\n', r"t\.csv:2: a quote in the row that begins here never ends"),
        ('file,text\na.png,a\nb.png,"b', r"t\.csv:3: a quote in the row that begins here never ends"),
        ('file,text\na.png,"' + "x\n" * 100_000, r"t\.csv:2: a cell of more than 131,072 characters; does a quote"),
        ("file,text,file\na.png,a,b.png\n", r"t\.csv:1: the column 'file' stands twice"),
        ("file,text\na.png,a,b\n", r"t\.csv:2: more cells than the header"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_with_the_line_where_it_begins(tmp_path, text, sentence):
    (tmp_path / "t.csv").write_text(text)
    refused(ImageTable(str(tmp_path / "t.csv")), sentence)
    refused(PromptFile(str(tmp_path / "t.csv")), sentence)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_csv_may_end_as_it_likes_and_have_columns_without_names(tmp_path, end):
    (tmp_path / "t.csv").write_text(f',file,text,\n0,a.png,"two\nlines",\n1,b.png,"said ""so""",{end}', newline="")
    places = [f"{tmp_path}/t.csv:2", f"{tmp_path}/t.csv:4"]
    rows = [{"file": "a.png", "text": "two\nlines"}, {"file": "b.png", "text": 'said "so"'}]
    assert list(read_rows(tmp_path / "t.csv")) == list(zip(places, rows, strict=True))
    assert read_columns(tmp_path / "t.csv") == ["file", "text"]


def test_a_head_of_many_columns_takes_no_time_and_no_page(tmp_path):
    (tmp_path / "t.csv").write_text(",".join(f"c{i}" for i in range(200_000)) + "\na\n")
    refused(ImageTable(str(tmp_path / "t.csv")), "no column 'file'; available: c0, c1, .* and 199,900 more$")


def test_parquet_without_columns_or_rows_or_with_one_twice_is_said(tmp_path):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({}), path)
    refused(ImageTable(str(path)), "no column 'file'; available: none")
    refused(PromptFile(str(path)), "no prompt in it")
    pyarrow.parquet.write_table(pyarrow.table({"file": pyarrow.array([], pyarrow.string())}), path)
    refused(ImageTable(str(path)), "no image in it")
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, ["file", "file"]), path)
    refused(ImageTable(str(path)), r"t\.parquet: the column 'file' stands twice")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, suffix):
    path = pipe(tmp_path / f"t{suffix}")
    refused(PromptFile(str(path)), "no prompt file")
    if suffix != ".txt":
        refused(ImageTable(str(path)), "cannot be read: it is a pipe, no file|Parquet file, or incomplete: .*a pipe")
        (tmp_path / f"metadata{suffix}").symlink_to("/dev/zero")
        refused(ImageFolder(str(tmp_path)), "it is a device, no file")


def test_a_metadata_file_that_names_an_image_twice_or_one_that_is_not_there_is_said(tmp_path, caplog):
    (tmp_path / "a.png").touch()
    (tmp_path / "metadata.csv").write_text("file,subject\na.png,x\n./a.png,y\n")
    refused(ImageFolder(str(tmp_path)), r"metadata\.csv:3: '\./a\.png' comes a second time")
    (tmp_path / "metadata.csv").write_text("file,subject\na.png,x\nb.png,y\nc.png,z\n")
    assert [r.subject for r in ImageFolder(str(tmp_path)).records()] == ["x"]
    assert caplog.messages[-1].endswith("metadata.csv: 2 of its files are no images in the folder, the first: 'b.png'")


# Embeddings


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("objects", "holds Python objects; expected floats"),
        ("pipe", r"is no whole \.npy file"),
        ("zip", r"is no whole \.npy file"),
        ("whole numbers", r"holds int64 of shape"),
    ],
)
def test_vectors_that_are_none_are_said(tmp_path, content, sentence):
    import numpy as np

    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    parquet(tmp_path / "metadata" / "0.parquet", image_path=["a.png", "b.png"])
    file = tmp_path / "img_emb" / "0.npy"
    if content == "pipe":
        pipe(file)
    elif content == "zip":
        np.savez(file.open("wb"), a=np.zeros((2, 3)))
    else:
        np.save(file, np.array([["a"], [None]], object) if content == "objects" else np.zeros((2, 3), np.int64))
    refused(EmbeddingFolder(str(tmp_path), "toys"), sentence)


# Whatever it is


@MANY
@given(content=st.binary(max_size=300), kind=st.sampled_from([*KINDS, ".txt"]))
def test_random_bytes_are_rows_or_a_sentence(tmp_path, content, kind):
    (tmp_path / f"t{kind}").write_bytes(content)
    written(PromptFile(str(tmp_path / f"t{kind}")), tmp_path / "rows")
    if kind != ".txt":
        written(ImageTable(str(tmp_path / f"t{kind}")), tmp_path / "rows")


TEXTS = st.text(st.characters(codec=None, categories=None), max_size=12) | st.text(string.printable, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@MANY
@given(rows=st.lists(st.dictionaries(st.sampled_from(["file", "text", "id", "subject", "metadata", "x"]), VALUES)))
def test_rows_of_any_values_are_written_down_or_refused(tmp_path, rows):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    written(PromptFile(str(tmp_path / "t.jsonl")), tmp_path / "rows")
    written(ImageTable(str(tmp_path / "t.jsonl")), tmp_path / "rows")


@MANY
@given(cells=st.lists(st.lists(TEXTS, max_size=4), max_size=4), end=st.sampled_from(["", '"', "\n"]))
def test_cells_of_any_texts_are_written_down_or_refused(tmp_path, cells, end):
    text = "\n".join([",file,text,id", *(",".join(row) for row in cells)]) + end
    (tmp_path / "t.csv").write_bytes(text.encode(errors="surrogatepass"))
    written(PromptFile(str(tmp_path / "t.csv")), tmp_path / "rows")
    written(ImageTable(str(tmp_path / "t.csv")), tmp_path / "rows")


@MANY
@given(cut=st.integers(0, 3000), flips=st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=5))
def test_a_parquet_file_that_is_cut_or_changed_is_rows_or_a_sentence(tmp_path, cut, flips):
    path = tmp_path / "t.parquet"
    parquet(path, file=[f"{i}.png" for i in range(50)], text=["a rose"] * 50, at=[datetime.date(2024, 1, 1)] * 50)
    raw = bytearray(path.read_bytes())
    for at, value in flips:
        raw[at % len(raw)] = value
    path.write_bytes(raw[: len(raw) - cut if cut < len(raw) and not flips else len(raw)])
    written(PromptFile(str(path)), tmp_path / "rows")
    written(ImageTable(str(path)), tmp_path / "rows")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"text": "a red x", "text": "a green x"}', "the key 'text' stands twice in one object"),
        ('{"text": "a red x", "n": ' + "1" * 5000 + "}", "a number of 5,000 digits; put it in quotes, as a text"),
    ],
)
def test_what_json_says_in_two_ways_or_without_end_is_refused_with_its_line(tmp_path, line, sentence):
    (tmp_path / "a.jsonl").write_text('{"text": "a rose"}\n' + line + "\n")
    with pytest.raises(RealismError, match=f"a.jsonl:2: {sentence}"):
        list(PromptFile(str(tmp_path / "a.jsonl")).prompts())
