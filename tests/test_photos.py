"""The main recipe on a folder of photographs as people have them: any size and format, some broken."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from world import RAG

PHOTOS = RAG.replace(", by: novel", "").replace(
    "{use: toy_prompts}", '{use: classes, images: database, template: "A photo of a {subject}"}'
)


@pytest.fixture
def photographs(data: Path, tmp_path: Path) -> Path:
    """Eight photographs of four species, and five files that are broken or unusual."""
    folder = tmp_path / "photos"
    for species in sorted((data / "flowers12" / "train").iterdir())[:4]:
        (folder / species.name).mkdir(parents=True)
        for photo in sorted(species.iterdir())[:2]:
            shutil.copy(photo, folder / species.name)
    first = sorted(folder.iterdir())[0]
    whole = sorted(first.iterdir())[0]
    (first / "truncated.jpg").write_bytes(whole.read_bytes()[:2000])
    (first / "text.jpg").write_text("this is no picture")
    (first / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (20_000, 300), (200, 40, 40)).save(first / "wide.png")
    Image.new("CMYK", (300, 200), (0, 90, 90, 10)).save(first / "cmyk.jpg")
    Image.new("RGBA", (40, 60), (0, 200, 0, 120)).save(first / "clear.webp")
    Image.new("L", (33, 51), 77).save(first / "grey.tif")
    return folder


def test_broken_photographs_are_skipped_and_counted_and_the_rest_is_used(run, write_recipe, photographs):
    recipe = write_recipe(PHOTOS.replace("DATABASE", str(photographs)))
    done = run(recipe)
    indexed = pd.read_parquet(next(done.folder.glob("steps/index-*")) / "index/retriever/metadata")
    skipped = {
        r["id"].split("/")[1] for r in csv.DictReader((done.folder / "skipped.csv").open()) if r["step"] == "index"
    }
    assert skipped == {"truncated.jpg", "text.jpg", "empty.jpg"}
    assert len(indexed) == 12
    assert {"wide.png", "cmyk.jpg", "clear.webp", "grey.tif"} <= {i.split("/")[1] for i in indexed.id}


def test_each_class_of_photographs_is_asked_for(run, write_recipe, photographs):
    done = run(write_recipe(PHOTOS.replace("DATABASE", str(photographs))))
    samples = pd.read_parquet(next(done.folder.glob("steps/generate-none-*")) / "samples")
    assert sorted(samples.subject) == sorted(p.name for p in photographs.iterdir())
    assert "skipped" in (done.folder / "report.html").read_text()
