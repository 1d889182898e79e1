"""The notebook in docs/ runs, cell by cell, in a kernel of its own."""

from __future__ import annotations

import nbclient
import nbformat
import pytest
from documents import MINIATURES
from world import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


def test_each_cell_of_the_notebook_runs(tmp_path) -> None:
    if not MINIATURES or not all(MINIATURES):
        pytest.skip("the garden or its miniatures are not there")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises for a cell that fails
    results = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "execute_result"
    ]
    part, pictures, found, picture, scores, run, measures = results
    assert "flux-kontext" in part["text/html"] and "image/png" in picture
    assert pictures["text/html"].count("<figure") == 2 and found["text/html"].count("<figure") == 3
    assert "tensor" in scores["text/plain"] and "retrieved" in run["text/html"]
    assert "species" in measures["text/html"]
