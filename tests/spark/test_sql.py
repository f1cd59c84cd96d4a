"""SQL on sources and published tables."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from crisp_spark.engine import tables
from crisp_spark.engine.commits import Commit
from crisp_spark.errors import DataError, StorageError, UsageError
from crisp_spark.run.published import published_tables
from crisp_spark.run.queries import ready_queries
from crisp_spark.run.sql import run_sql, sql_names
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from tests import tiny_project

FRAMES = {
    "ingest": {
        "rejects.visits": (
            [(1, ["bad date", "no key"]), (2, ["bad date"])],
            "_crisp_row long, reasons array<string>",
        )
    },
    "clean": {"dropped.visits": ([(1, "doubled")], "visit long, _crisp_drop_reason string")},
    "derive": {
        "derived": (
            [(1, 2.5, True), (2, None, False), (3, 4.0, True)],
            "visit long, `größe (m²)` double, bought boolean",
        )
    },
}


def publish(project, spark, key: str = "k1", frames=FRAMES) -> None:
    workspace = Workspace(project)
    for step, written in frames.items():
        made = {
            name: tables.write_table(
                workspace.objects,
                f"data/{name}/{key}/a1",
                name,
                spark.createDataFrame(*content).coalesce(1),
            )
            for name, content in written.items()
        }
        workspace.commits.publish(
            Commit(
                step=step,
                stage_key=key,
                run_id="r1",
                created=datetime.now(UTC),
                seconds=1,
                result={},
                tables=made,
            )
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory, spark_session):
    found = load_project(tiny_project.write(tmp_path_factory.mktemp("sql")), environ={})
    publish(found, spark_session)
    return found


@pytest.fixture
def changed(project, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(project.project_dir, tmp_path / "copy")
    return load_project(tmp_path / "copy" / "crisp.yml", environ={})


def test_query_joins_a_source_and_a_published_table(project, spark):
    answer = run_sql(
        project,
        "SELECT s.city, count(*) AS n FROM derived d JOIN shops s ON s.shop = concat('S', d.visit) "
        "GROUP BY s.city ORDER BY n, s.city",
        spark=spark,
    )
    assert answer.columns == ("city", "n")
    assert answer.rows == (("Ωmega", 1), ("Zürich", 2))


def test_sources_are_read_without_the_rows_that_ingest_rejects(project, spark):
    answer = run_sql(project, "SELECT count(*) FROM visits", spark=spark)
    assert answer.rows == ((902,),)  # 904 lines, two of which are no records


def test_every_ready_query_is_answered(project, spark):
    asked = ready_queries(published_tables(project), engine="spark", target="bought")
    answers = {one.name: run_sql(project, one.sql, spark=spark).rows for one in asked}
    assert answers["sizes"] == (("derived", 3), ("dropped_visits", 1), ("rejects_visits", 2))
    assert answers["rejects"] == (("visits", "bad date", 2), ("visits", "no key", 1))
    assert answers["dropped"] == (("visits", "doubled", 1),)
    assert answers["gaps"] == ((0, 1, 0),)
    assert answers["outcomes"] == ((True, 2), (False, 1))


def test_newer_version_is_what_a_query_sees(changed, spark):
    publish(changed, spark, "k2", {"derive": {"derived": ([(9,)], "visit long")}})
    assert run_sql(changed, "SELECT visit FROM derived", spark=spark).rows == ((9,),)
    assert [one.stage_key for one in published_tables(changed) if one.name == "derived"] == ["k2"]


def test_answer_says_that_there_is_more(project, spark):
    answer = run_sql(project, "SELECT visit FROM derived ORDER BY visit", most_rows=2, spark=spark)
    assert (answer.rows, answer.truncated) == (((1,), (2,)), True)


def test_unknown_table_is_told_with_the_nearest(project, spark):
    with pytest.raises(DataError, match="did you mean derived"):
        run_sql(project, "SELECT * FROM derivd", spark=spark)


@pytest.mark.parametrize("query", ["DROP TABLE x", "-- SELECT\nINSERT INTO t VALUES (1)", ""])
def test_only_reading_is_allowed(project, query):
    with pytest.raises(UsageError, match="only statements that read"):
        run_sql(project, query)


def test_names_of_sources_and_tables_are_listed(project):
    names = sql_names(project)
    assert names["visits"] == "source, csv"
    assert names["derived"] == "published, 3 rows"


def test_folder_with_a_stray_file_is_not_registered(changed):
    (table,) = [one for one in published_tables(changed) if one.name == "derived"]
    assert table.columns[1][:2] == ("gr_e_m_", "größe (m²)")
    folder = Workspace(changed).folder / "data" / "derived" / "k1" / "a1"
    (folder / "part-9.parquet").write_bytes(b"stray")
    with pytest.raises(StorageError, match="holds other files"):
        published_tables(changed)
