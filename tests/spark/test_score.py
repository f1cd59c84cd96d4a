from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from chispa import assert_df_equality
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LinearSVC, LogisticRegression
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.ml.recommendation import ALS
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from crisp_spark.deployment import score as score_module
from crisp_spark.deployment.score import (
    ANSWERED_BY,
    DECISION,
    MODEL,
    PREDICTION,
    PROBABILITIES,
    REASONS,
    SCORE,
    ScoringContract,
    contract_of,
)
from crisp_spark.deployment.score import score_frame as score_with
from crisp_spark.engine import tables
from crisp_spark.engine.commits import Commit
from crisp_spark.errors import (
    DataError,
    MissingColumnsError,
    ModelError,
    StorageError,
    UsageError,
)
from crisp_spark.modeling.labels import score_columns
from crisp_spark.results.deploy import DeployResult, ModelInput, RegisteredModel
from crisp_spark.run.score import score_batch
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.deployment import DeploymentSpec, ScoreSpec

INPUTS = (
    ModelInput(name="id", type="bigint", use="key", required=True),
    ModelInput(name="größe.m", type="double"),
    ModelInput(name="pages", type="int"),
    ModelInput(name="hour", type="int", use="fallback"),
)
SCHEMA = "id bigint, `größe.m` double, pages int, hour int"
ROWS = [(1, 1.0, 1, 9), (2, 5.0, 9, 18), (3, None, 4, 17)]


def score_frame(batch, model, known):
    return score_with(batch, model, known, score_columns)


def fitted(spark: SparkSession, estimator, label: str) -> PipelineModel:
    rows = [(n, float(n % 5), n % 10, n % 24) for n in range(40)]
    train = spark.createDataFrame(rows, SCHEMA).withColumn("label", F.expr(label))
    derive = SQLTransformer(
        statement="SELECT *, coalesce(`größe.m`, 0D) AS m, coalesce(pages, 0) * 2 AS twice FROM __THIS__"
    )
    assemble = VectorAssembler(inputCols=["m", "twice"], outputCol="features")
    return Pipeline(stages=[derive, assemble, estimator]).fit(train)


@pytest.fixture(scope="module")
def model(spark_session) -> PipelineModel:
    return fitted(spark_session, LogisticRegression(maxIter=5), "IF(pages > 4, 1D, 0D)")


def contract(**changes) -> ScoringContract:
    base = ScoringContract(
        inputs=INPUTS,
        problem="binary",
        model="flights 3",
        classes=("false", "true"),
        threshold=0.4,
        fallback="hour >= 17",
    )
    return replace(base, **changes)


@pytest.fixture
def batch(spark):
    return spark.createDataFrame(ROWS, SCHEMA)


def test_nothing_runs_until_it_is_asked_for(batch, model, no_jobs):
    with no_jobs():
        score_frame(batch, model, contract())


def test_scored_rows_keep_the_batch_and_carry_the_answer(spark, batch, model):
    result = score_frame(batch, model, contract())
    assert result.rejected.count() == 0
    assert result.ignored == ()
    rows = result.scored.orderBy("id").collect()
    assert result.scored.columns == [
        *batch.columns,
        SCORE,
        PREDICTION,
        DECISION,
        MODEL,
        ANSWERED_BY,
    ]
    assert [tuple(row)[:4] for row in rows] == ROWS
    assert [row[PREDICTION] for row in rows][:2] == ["false", "true"]
    for row in rows:
        assert row[DECISION] == (row[SCORE] >= 0.4)
        assert (row[MODEL], row[ANSWERED_BY]) == ("flights 3", "model")
    assert 0 < rows[0][SCORE] < 0.5 < rows[1][SCORE] < 1


def test_a_row_that_an_expression_refuses_is_rejected_and_answered_by_the_rule(spark):
    """1 / 0 and texts that are no numbers stop a Spark job; here they stop one row."""
    derive = SQLTransformer(statement="SELECT *, 10D / pages AS `_crisp_d1` FROM __THIS__")
    chain = SQLTransformer(
        statement="SELECT *, CAST(CAST(`größe.m` AS STRING) AS DOUBLE) + `_crisp_d1` AS `_crisp_d2`,"
        " array(pages) AS `_crisp_d3`, make_date(2024, 1, pages) AS `_crisp_d4` FROM __THIS__"
    )
    assemble = VectorAssembler(
        inputCols=["_crisp_d1", "_crisp_d2"], outputCol="features", handleInvalid="keep"
    )
    schema = SCHEMA.replace("hour int", "hour string")
    train = spark.createDataFrame([(n, float(n % 5), 1 + n % 9, "9") for n in range(40)], schema)
    pipe = Pipeline(
        stages=[derive, chain, assemble, LinearRegression(labelCol="pages", maxIter=2)]
    ).fit(train)
    inputs = tuple(
        item.model_copy(update={"type": "string"}) if item.name == "hour" else item
        for item in INPUTS
    )
    known = contract(
        inputs=inputs, problem="regression", threshold=None, fallback="CAST(hour AS INT) * 2"
    )
    batch = spark.createDataFrame(
        [(1, 1.0, 2, "9"), (2, 1.0, 0, "17"), (3, 1.0, 40, "noon"), (4, 2.0, 3, None)], schema
    )
    result = score_frame(batch, pipe, known)
    assert sorted(row["id"] for row in result.scored.collect()) == [1, 4]
    rejected = {row["id"]: row for row in result.rejected.collect()}
    assert rejected[2][PREDICTION] == 34.0
    assert rejected[2][ANSWERED_BY] == "fallback"
    assert rejected[2][REASONS][0] == "cannot be derived from this row: 10D / pages"
    assert rejected[3][PREDICTION] is None
    assert rejected[3][REASONS] == [
        "cannot be derived from this row: make_date(2024, 1, pages)",
        "fallback rule: cannot be computed",
    ]


def test_a_score_at_the_threshold_raises_an_alert(batch, model):
    first = score_frame(batch, model, contract()).scored.orderBy("id").first()
    exact = score_frame(batch, model, contract(threshold=first[SCORE])).scored
    assert exact.orderBy("id").first()[DECISION]


def test_text_is_cast_and_what_cannot_be_is_rejected_with_reasons(spark, model):
    text = spark.createDataFrame(
        [
            ("1", " 1.5 ", "3", "9"),
            ("2", "many", "3.0", "18"),
            ("x", "1", "3.5", "9"),
            ("4", "", None, "17"),
            ("  ", "1", "99999999999", "17"),
            ("6", "1", "2", "noon"),
        ],
        "id string, `größe.m` string, pages string, hour string",
    )
    result = score_frame(text, model, contract())
    assert sorted(row["id"] for row in result.scored.collect()) == ["1", "4", "6"]
    rejected = result.rejected.select("id", "`größe.m`", "pages", REASONS, DECISION, ANSWERED_BY)
    expected = spark.createDataFrame(
        [
            ("2", "many", "3.0", ["größe.m: not a double"], True, "fallback"),
            ("x", "1", "3.5", ["id: not a bigint", "pages: not a int"], False, "fallback"),
            ("  ", "1", "99999999999", ["id: missing", "pages: not a int"], True, "fallback"),
        ],
        rejected.schema,
    )
    # Ordered here: the comparison itself cannot sort by a name with a dot.
    assert_df_equality(rejected.orderBy("id"), expected.orderBy("id"), ignore_nullable=True)


def test_text_and_typed_rows_get_the_same_score(spark, batch, model):
    text = batch.select(*(F.col(f"`{name}`").cast("string").alias(name) for name in batch.columns))
    one, two = (
        score_frame(given, model, contract()).scored.orderBy("id").select(SCORE, DECISION).collect()
        for given in (batch, text)
    )
    assert one == two


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("double", 3.0, None),
        ("double", 3.7, "pages: not a int"),
        ("double", math.nan, "pages: not a int"),
        ("bigint", 2**40, "pages: not a int"),
        ("decimal(12,2)", "4.00", None),
        ("decimal(12,2)", "4.10", "pages: not a int"),
        ("boolean", True, None),
    ],
)
def test_numbers_of_another_type_lose_nothing(spark, model, kind, value, reason):
    given = spark.createDataFrame([(1,)], "id bigint").select(
        "id", F.lit(1.0).alias("größe.m"), F.lit(value).cast(kind).alias("pages")
    )
    result = score_frame(given, model, contract(fallback=None))
    found = [row[REASONS] for row in result.rejected.collect()]
    assert found == ([[reason]] if reason else [])
    assert result.scored.count() == (0 if reason else 1)


def test_a_missing_column_is_named_and_the_optional_one_is_not(spark, batch, model):
    with pytest.raises(MissingColumnsError, match="'pages'") as error:
        score_frame(batch.withColumnRenamed("pages", "page"), model, contract())
    assert "did you mean 'page'" in str(error.value)
    result = score_frame(batch.drop("hour").withColumn("id", F.lit(None)), model, contract())
    answers = [(row[DECISION], row[ANSWERED_BY]) for row in result.rejected.collect()]
    assert answers == [(None, None)] * 3


def test_a_type_that_cannot_be_cast_is_named(batch, model):
    with pytest.raises(DataError, match="'pages' needs int, got array<int>"):
        score_frame(batch.withColumn("pages", F.array("pages")), model, contract())


def test_names_that_differ_by_case_only_are_refused(batch, model):
    with pytest.raises(DataError, match="'Pages'"):
        score_frame(
            batch.withColumn("x", F.lit(1)).toDF("id", "größe.m", "pages", "hour", "Pages"),
            model,
            contract(),
        )


def test_extra_columns_are_named_kept_and_never_confuse_the_model(batch, model):
    more = batch.withColumn("twice", F.lit("a name that the model derives")).withColumn(
        "a b.c`d", F.lit(1)
    )
    result = score_frame(more, model, contract())
    assert result.ignored == ("twice", "a b.c`d")
    assert {row["twice"] for row in result.scored.collect()} == {"a name that the model derives"}
    assert result.scored.columns[:6] == more.columns
    assert score_frame(batch, model, contract()).scored.select(SCORE).collect() == (
        result.scored.select(SCORE).collect()
    )


def test_a_scored_table_can_be_scored_again(batch, model):
    once = score_frame(batch, model, contract()).scored
    again = score_frame(once, model, contract(model="flights 4"))
    assert again.scored.columns == once.columns
    assert again.ignored == ()
    assert {row[MODEL] for row in again.scored.collect()} == {"flights 4"}


def test_only_the_key_is_kept_on_request(batch, model):
    result = score_frame(batch, model, contract(keep="key"))
    assert result.scored.columns == ["id", SCORE, PREDICTION, DECISION, MODEL, ANSWERED_BY]
    assert result.rejected.columns == ["id", REASONS, DECISION, ANSWERED_BY]


def test_an_empty_batch_gives_empty_frames(spark, model):
    result = score_frame(spark.createDataFrame([], SCHEMA), model, contract())
    assert result.scored.count() == 0
    assert result.rejected.count() == 0


def test_without_a_rule_rejected_rows_have_no_answer(batch, model):
    result = score_frame(batch.withColumn("id", F.lit(None)), model, contract(fallback=None))
    assert result.rejected.columns == [*batch.columns, REASONS]
    assert result.rejected.count() == 3


def test_a_learner_without_probabilities_is_scored_by_its_order(spark, batch):
    svc = fitted(spark, LinearSVC(maxIter=3), "IF(pages > 4, 1D, 0D)")
    rows = score_frame(batch, svc, contract(threshold=0.5)).scored.orderBy("id").collect()
    assert rows[0][SCORE] < rows[1][SCORE]
    assert [row[PREDICTION] for row in rows][:2] == ["false", "true"]


def test_several_classes_have_a_name_and_all_probabilities(spark, batch):
    multi = fitted(spark, LogisticRegression(maxIter=5), "CAST(pages % 3 AS DOUBLE)")
    answers = score_frame(
        batch,
        multi,
        contract(problem="multiclass", classes=("a", "b", "ç"), threshold=None, fallback="'b'"),
    )
    rows = answers.scored.collect()
    for row in rows:
        assert row[SCORE] == max(row[PROBABILITIES])
        assert row[PREDICTION] == ("a", "b", "ç")[row[PROBABILITIES].index(row[SCORE])]
        assert sum(row[PROBABILITIES]) == pytest.approx(1)
    assert DECISION not in answers.scored.columns


def test_a_regression_is_its_own_score_and_the_rule_gives_a_number(spark, batch):
    line = fitted(spark, LinearRegression(maxIter=5), "CAST(pages AS DOUBLE)")
    known = contract(problem="regression", classes=(), threshold=None, fallback="hour * 2")
    result = score_frame(batch, line, known)
    for row in result.scored.collect():
        assert row[SCORE] == row[PREDICTION] == pytest.approx(row["pages"], abs=0.5)
    rejected = score_frame(batch.withColumn("id", F.lit(None)), line, known).rejected
    assert sorted(row[PREDICTION] for row in rejected.collect()) == [18.0, 34.0, 36.0]


def test_a_cluster_has_a_number(spark, batch):
    groups = fitted(spark, KMeans(k=2, seed=1), "0D")
    rows = score_frame(
        batch, groups, contract(problem="clustering", fallback=None)
    ).scored.collect()
    assert all(row[SCORE] == row[PREDICTION] for row in rows)
    assert {row[PREDICTION] for row in rows} <= {0, 1}


def test_an_unknown_user_gets_no_answer_and_is_not_lost(spark):
    ratings = spark.createDataFrame(
        [(u, i, float((u + i) % 5)) for u in range(4) for i in range(4)],
        "u int, i int, label double",
    )
    als = Pipeline(stages=[ALS(userCol="u", itemCol="i", ratingCol="label", seed=1, maxIter=2)])
    inputs = tuple(ModelInput(name=name, type="int", required=True) for name in ("u", "i"))
    known = contract(problem="recommendation", inputs=inputs, fallback=None)
    result = score_frame(
        spark.createDataFrame([(1, 1), (99, 1)], "u int, i int"), als.fit(ratings), known
    )
    found = {row["u"]: (row[SCORE] is None, row[ANSWERED_BY]) for row in result.scored.collect()}
    assert found == {1: (False, "model"), 99: (True, None)}


def test_the_contract_comes_from_the_deployment_and_the_project():
    deployed = DEPLOYED
    assert contract_of(deployed, ScoreSpec()) == contract()
    own = contract_of(deployed, ScoreSpec(threshold=0.9, fallback=False, keep="key"))
    assert (own.threshold, own.fallback, own.keep) == (0.9, None, "key")
    assert (
        contract_of(deployed.model_copy(update={"model": None}), ScoreSpec()).model
        == "not deployed"
    )


# A batch of files


DEPLOYED = DeployResult(
    status="deployed",
    reason="",
    decision="deploy",
    model=RegisteredModel(name="flights", version="3", uri="", alias="champion", run_id=""),
    inputs=list(INPUTS),
    problem="binary",
    classes=["false", "true"],
    threshold=0.4,
    fallback="hour >= 17",
)


@pytest.fixture(scope="module")
def workspace_dir(model, tmp_path_factory):
    """A workspace with a sweep that holds the model, and one deployment of it."""
    folder = tmp_path_factory.mktemp("score")
    workspace = Workspace(project_in(folder))
    files = tables.write_model(workspace.objects, "data/model.model/s1/a", model)
    publish(
        workspace,
        "sweep",
        "s1",
        {},
        models={"model": files},
        model_roots={"model": "data/model.model/s1/a"},
    )
    publish(workspace, "deploy", "d1", DEPLOYED.model_dump(mode="json"), inputs={"sweep": "s1"})
    return folder


def project_in(folder: Path):
    info = SimpleNamespace(name="flights", workspace="workspace")
    spec = SimpleNamespace(project=info, deployment=DeploymentSpec())
    return SimpleNamespace(spec=spec, project_dir=folder)


def publish(workspace: Workspace, step: str, key: str, result: dict, **more) -> None:
    made = Commit(
        step=step,
        stage_key=key,
        run_id="r",
        created=datetime.now(UTC),
        seconds=0,
        result=result,
        **more,
    )
    workspace.commits.publish(made)


CSV = """\
id,größe.m,pages,hour,note
1,1.5,3,9,fine
2,many,3,18,not a number
3,2
,1,4,17,no id
5,"2,5",4,9,comma
6,,7,,nothing known
7,1,2,9,too,many
"""


def test_no_row_of_a_csv_is_lost(spark, workspace_dir, tmp_path):
    source = tmp_path / "batch.csv"
    source.write_text(CSV, encoding="utf-8")
    out = tmp_path / "out"
    summary = score_batch(
        project_in(workspace_dir),
        input_path=str(source),
        output_path=str(out),
        kind="csv",
        spark=spark,
    )
    assert (summary.rows_in, summary.rows_scored, summary.rows_rejected) == (7, 2, 5)
    assert summary.rows_by_rule == 3
    assert summary.model == "flights 3"
    assert summary.ignored == ("note",)
    assert summary.reasons["größe.m: not a double"] == 2
    assert summary.reasons["id: missing"] == 1
    scored = spark.read.parquet(f"{out}/scored")
    assert sorted(row["id"] for row in scored.collect()) == ["1", "6"]
    rejected = spark.read.parquet(f"{out}/rejected").collect()
    assert sorted(row["_crisp_text"] for row in rejected if row["_crisp_text"]) == [
        "3,2",
        "7,1,2,9,too,many",
    ]
    answers = {row["id"]: row[DECISION] for row in rejected if row[ANSWERED_BY] == "fallback"}
    assert answers == {"2": True, None: True, "5": False}
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["rows_in"] == 7


def test_a_text_batch_with_the_columns_of_an_earlier_scoring_is_refused_by_name(
    spark, workspace_dir, tmp_path
):
    (tmp_path / "b.csv").write_text("id,größe.m,pages,_crisp_score\n1,2,3,0.9\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^score: b\.csv has a column '_crisp_score'") as error:
        score_batch(
            project_in(workspace_dir),
            input_path=str(tmp_path / "b.csv"),
            output_path=str(tmp_path / "out"),
            kind="csv",
            spark=spark,
        )
    assert "reserved; rename it" in str(error.value.hint)


def test_json_and_parquet_give_the_same_scores(spark, batch, workspace_dir, tmp_path):
    found = []
    for kind in ("json", "parquet"):
        batch.write.format(kind).save(f"{tmp_path}/{kind}")
        summary = score_batch(
            project_in(workspace_dir),
            input_path=f"{tmp_path}/{kind}",
            output_path=f"{tmp_path}/out-{kind}",
            kind=kind,
            spark=spark,
        )
        assert (summary.rows_in, summary.rows_scored, summary.rows_rejected) == (3, 3, 0)
        rows = spark.read.parquet(f"{tmp_path}/out-{kind}/scored").select(
            F.col("id").cast("int"), SCORE
        )
        found.append(sorted(map(tuple, rows.collect())))
    assert found[0] == found[1]


def test_a_scored_folder_is_never_written_over(spark, batch, workspace_dir, tmp_path):
    batch.write.parquet(f"{tmp_path}/in")
    call = {"input_path": f"{tmp_path}/in", "output_path": f"{tmp_path}/out", "spark": spark}
    score_batch(project_in(workspace_dir), **call)
    with pytest.raises(UsageError, match="holds a scored batch already"):
        score_batch(project_in(workspace_dir), **call)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "parket"}, UsageError, "did you mean 'parquet'"),
        ({"model": "best"}, UsageError, "unknown model 'best'"),
        ({"input_path": "/nowhere/at/all"}, DataError, "cannot read"),
        ({"kind": "csv", "input_path": "/nowhere/*.csv"}, DataError, "^score: .*nowhere"),
    ],
)
def test_a_wrong_call_is_explained(spark, workspace_dir, tmp_path, options, error, message):
    call = {"input_path": str(tmp_path), "output_path": str(tmp_path / "out"), "spark": spark}
    with pytest.raises(error, match=message):
        score_batch(project_in(workspace_dir), **(call | options))


def test_a_text_file_without_a_column_is_refused_with_the_nearest_name(
    spark, workspace_dir, tmp_path
):
    (tmp_path / "b.csv").write_text("id,größe.m,page\n1,2,3\n", encoding="utf-8")
    with pytest.raises(MissingColumnsError, match="'pages'") as error:
        score_batch(
            project_in(workspace_dir),
            input_path=str(tmp_path / "b.csv"),
            output_path=str(tmp_path / "out"),
            kind="csv",
            spark=spark,
        )
    assert "did you mean 'page'" in str(error.value)


def test_only_a_deployed_model_scores_unless_the_candidate_is_asked_for(
    spark, batch, workspace_dir, tmp_path
):
    folder = tmp_path / "fresh"
    shutil.copytree(workspace_dir, folder)
    workspace = Workspace(project_in(folder))
    refused = DEPLOYED.model_copy(update={"status": "refused", "model": None, "reason": "M1 fails"})
    publish(workspace, "deploy", "d2", refused.model_dump(mode="json"), inputs={"sweep": "s1"})
    batch.write.parquet(f"{tmp_path}/in")

    def model_of(**options) -> str:
        return score_batch(
            project_in(folder),
            input_path=f"{tmp_path}/in",
            spark=spark,
            output_path=f"{tmp_path}/out{len(options)}",
            **options,
        ).model

    assert model_of() == "flights 3"
    assert model_of(model="candidate") == "candidate s1"


def test_without_a_deployment_there_is_nothing_to_score_with(tmp_path):
    call = {"input_path": "x", "output_path": str(tmp_path / "out")}
    with pytest.raises(ModelError, match="no model was deployed"):
        score_batch(project_in(tmp_path), **call)
    workspace = Workspace(project_in(tmp_path))
    refused = DEPLOYED.model_copy(update={"status": "refused", "model": None, "reason": "M1 fails"})
    publish(workspace, "deploy", "d1", refused.model_dump(mode="json"), inputs={"sweep": "gone"})
    with pytest.raises(ModelError, match="M1 fails") as error:
        score_batch(project_in(tmp_path), **call)
    assert "--model candidate" in error.value.hint
    with pytest.raises(StorageError, match="is gone"):
        score_batch(project_in(tmp_path), model="candidate", **call)


def test_lost_rows_stop_the_batch(spark, batch, workspace_dir, tmp_path, monkeypatch):
    batch.write.parquet(f"{tmp_path}/in")
    real = score_module.score_frame

    def losing(*arguments):
        found = real(*arguments)
        return replace(found, scored=found.scored.where("id > 1"))

    monkeypatch.setattr(score_module, "score_frame", losing)
    with pytest.raises(DataError, match="3 rows came in, but 2 were scored and 0 rejected"):
        score_batch(
            project_in(workspace_dir),
            input_path=f"{tmp_path}/in",
            output_path=f"{tmp_path}/out",
            spark=spark,
        )
    assert not (tmp_path / "out" / "summary.json").exists()
