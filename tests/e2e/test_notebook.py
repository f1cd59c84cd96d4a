"""The small project as a notebook sees it: the notebook of the examples, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crisp_spark.errors import StorageError
from crisp_spark.notebook import open_project
from tests import tiny_project

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebooks" / "first_look.ipynb"


@pytest.mark.slow
def test_the_notebook_of_the_examples_runs_from_top_to_bottom(tmp_path, spark, monkeypatch):
    new = open_project(tiny_project.write(tmp_path))
    with pytest.raises(StorageError, match="not published"):
        new.table("merged")
    for ask in (new.report, new.model, lambda: new.result("merge")):
        with pytest.raises(StorageError, match="has not run"):
            ask()
    assert {step.state for step in new.status()} == {"missing"}

    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs")]
    space: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), space)

    project = space["project"]
    assert space["decision"].decision in {"deploy", "iterate", "stop"}
    assert "<iframe" in space["page"]._repr_html_()
    assert space["scored"].count() == project.tables()["test"]
    assert project.table("merged").count() == project.tables()["merged"] > 0
    with pytest.raises(StorageError, match="did you mean 'merged'"):
        project.table("mergd")
    assert project.sql("SELECT count(*) AS n FROM merged").rows == ((project.tables()["merged"],),)
    assert {step.state for step in project.status()} == {"current"}
    assert {event.state for event in project.run().events} == {"skipped"}
