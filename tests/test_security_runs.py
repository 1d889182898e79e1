"""The folder of a run may be a stranger's: nothing outside of it is touched, and what it says is read with care."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from realism import open_run
from realism.base.errors import RealismError
from realism.cli.verify import verify_run
from realism.cli.work import write_report
from test_integrity import last_part, one


@pytest.mark.parametrize("name", [".report.html.writing", "report.html", "run.json", "skipped.csv", "log.txt", ".lock"])
def test_a_strangers_run_folder_writes_nowhere_else(run, write_recipe, tmp_path, name):
    done = run(write_recipe())
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (done.folder / name).unlink(missing_ok=True)
    (done.folder / name).symlink_to(mine)
    with pytest.raises(RealismError, match="is a link or no plain file"):
        run(write_recipe())
    with pytest.raises(RealismError, match="is a link or no plain file"):
        write_report(done.folder)
    assert mine.read_text() == "precious" and mine.stat().st_size == len("precious")


def test_what_a_strangers_run_says_it_wrote_elsewhere_is_not_touched(run, write_recipe, tmp_path):
    done = run(write_recipe())
    mine = tmp_path / "shard-00000.parquet"
    mine.write_text("precious")
    told = one(done, "score-*/done.json")
    text = json.loads(told.read_text())
    text["artifacts"][0] |= {"path": "../../..", "rows": [3]}
    told.write_text(json.dumps(text))
    with pytest.raises(RealismError, match="is damaged, or another version wrote it; remove"):
        run(write_recipe())
    assert mine.read_text() == "precious"


def test_no_folder_of_a_run_may_lead_elsewhere(run, write_recipe, tmp_path):
    done = run(write_recipe())
    (tmp_path / "mine").mkdir()
    kept = done.folder / "embeddings"
    kept.rename(tmp_path / "gone")
    kept.symlink_to(tmp_path / "mine")
    with pytest.raises(RealismError, match="is a link or no plain file"):
        run(write_recipe())
    assert not list((tmp_path / "mine").iterdir())


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _deep(path: Path) -> None:
    path.write_text("[" * 200_000 + "]" * 200_000)


def _huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(3_500_000_000)


@pytest.mark.parametrize("damage", [_pipe, _deep, _huge])
@pytest.mark.parametrize("name", ["done.json", "start.json", "notes.jsonl", "timing.json"])
def test_what_a_run_says_of_itself_is_read_with_care(run, write_recipe, toy_plugins, damage, name):
    from realism.runs.progress import View
    from realism.runs.stored import write_report

    done = run(write_recipe())
    file = one(done, "generate-none-*") / name
    file.touch()
    damage(file)
    for look in (verify_run, lambda folder: write_report(folder, toy_plugins.registry, View(quiet=True)), open_run):
        try:
            look(done.folder)
        except RealismError as error:
            assert name == "done.json", error
            assert "is damaged, or another version wrote it; remove" in str(error)


@pytest.mark.parametrize(
    "change",
    [{"rows": None}, {"kind": ["x"]}, {"arm": {"a": 1}}, {"path": "a\0b"}, {"path": ""}, {"path": "/etc"}, {"path": 5}],
)
def test_whatever_a_strangers_run_says_it_wrote_ends_in_a_sentence(run, write_recipe, change):
    done = run(write_recipe())
    file = one(done, "generate-none-*") / "done.json"
    told = json.loads(file.read_text())
    told["artifacts"][0] |= change
    if change == {"rows": None}:
        del told["artifacts"][0]["rows"]
    file.write_text(json.dumps(told))
    for look in (verify_run, open_run):
        with pytest.raises(RealismError, match="is damaged, or another version wrote it; remove"):
            look(done.folder)


def test_a_table_with_an_empty_cell_is_damaged(run, write_recipe):
    from realism.base.tables import read_shard
    from realism.data.rows import Sample

    part = last_part(run(write_recipe()), "generate-none-*/samples/none")
    table = pd.read_parquet(part)
    table.loc[0, "text"] = None
    table.to_parquet(part)
    with pytest.raises(RealismError, match="is damaged; remove"):
        read_shard(part, Sample)
