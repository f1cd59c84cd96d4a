"""One model, four ways to ask it: Spark, the bundle, Lambda's runtime loop, HTTP; one answer."""

from __future__ import annotations

import asyncio
import io
import json
import math
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml import classification as C
from pyspark.ml import feature as X

from crisp_spark.aws.rollout.zips import function_zip
from crisp_spark.deployment.portable_reference import reference_statistics
from crisp_spark.deployment.score import ScoringContract, score_frame
from crisp_spark.modeling.labels import score_columns
from crisp_spark.results.deploy import ModelInput
from crisp_spark.run.portable import make_portable
from crisp_spark.serving import load_bundle
from crisp_spark.serving.endpoint.holding import FixedModel
from crisp_spark.serving.endpoint.loading import BundleModel, load
from crisp_spark.serving.endpoint.on_http import build_app
from crisp_spark.serving.endpoint.service import Endpoint
from tests.serving.emulator import running

INPUTS = [
    ModelInput(name="id", type="int", use="key", required=True),
    ModelInput(name="dist ance", type="double", use="model"),
    ModelInput(name="seats", type="int", use="model"),
    ModelInput(name="city", type="string", use="model", required=True),
    ModelInput(name="hour", type="int", use="fallback"),
]
CONTRACT = ScoringContract(
    inputs=INPUTS,
    problem="binary",
    model="late 7",
    classes=("false", "true"),
    threshold=0.4,
    fallback="hour >= 18",
)


@pytest.fixture(scope="module")
def rows(spark_session):
    values = [
        (
            n,
            None if n % 11 == 3 else n * 37 % 101 / 10 - 3,
            n * 13 % 29,
            None if n % 23 == 5 else f"Łódź {n * n % 7}",
            n % 24,
            float(n * 7 % 5 < 2 + (n % 3 == 0)),
        )
        for n in range(200)
    ]
    schema = "id int, `dist ance` double, seats int, city string, hour int, label double"
    return spark_session.createDataFrame(values, schema).coalesce(1).cache()


@pytest.fixture(scope="module")
def pipeline(rows) -> PipelineModel:
    statement = X.SQLTransformer(
        statement="SELECT *, coalesce(`dist ance`, 0.5D) AS `_x1`, "
        "CAST(coalesce(greatest(`seats`, 2), 3) AS DOUBLE) AS `_x2`, "
        "coalesce(`city`, 'none') AS `_c` FROM __THIS__"
    )
    stages = [
        statement,
        X.StringIndexer(inputCol="_c", outputCol="_i", handleInvalid="keep"),
        X.OneHotEncoder(inputCols=["_i"], outputCols=["_v"]),
        X.VectorAssembler(inputCols=["_x1", "_x2", "_v"], outputCol="features"),
        C.LogisticRegression(regParam=0.01),
    ]
    models, frame = [], rows
    for stage in stages:
        model = stage.fit(frame) if hasattr(stage, "fit") else stage
        frame = model.transform(frame)
        models.append(model)
    return PipelineModel(models)


@pytest.fixture(scope="module")
def bundle(rows, pipeline) -> bytes:
    facts = {"reference": reference_statistics(rows, [item.name for item in INPUTS])}
    return make_portable(pipeline, CONTRACT, rows, facts=facts).packed("late", "7")


@pytest.fixture(scope="module")
def records(rows) -> list[dict]:
    names = [item.name for item in INPUTS]
    return [
        {name: row[name] for name in names}
        for row in rows.select(*(f"`{n}`" for n in names)).collect()
    ]


@pytest.fixture(scope="module")
def by_spark(rows, pipeline) -> dict[int, tuple]:
    scored = score_frame(rows.drop("label"), pipeline, CONTRACT, score_columns)
    found = {}
    for row in scored.scored.collect():
        found[row["id"]] = (
            row["_crisp_prediction"],
            row["_crisp_score"],
            row["_crisp_decision"],
            "model",
        )
    for row in scored.rejected.collect():
        found[row["id"]] = (None, None, row["_crisp_decision"], "fallback")
    return found


def told(predictions) -> dict[int, tuple]:
    return {
        one["key"]["id"]: (
            one["prediction"],
            one.get("score"),
            one.get("decision"),
            one["answered_by"],
        )
        for one in predictions
    }


def equal(found: dict[int, tuple], expected: dict[int, tuple]) -> float:
    assert found.keys() == expected.keys()
    largest = 0.0
    for key, answer in expected.items():
        assert (found[key][0], *found[key][2:]) == (answer[0], *answer[2:]), key
        if answer[1] is not None:
            largest = max(largest, abs(found[key][1] - answer[1]))
    return largest


def test_four_ways_give_one_answer(bundle, records, by_spark, tmp_path):
    assert {answer[3] for answer in by_spark.values()} == {"model", "fallback"}
    model = load_bundle(bundle)
    rows = model.score(records)
    direct = {
        record["id"]: (rows.prediction[at], rows.score[at], rows.decision[at], rows.answered_by[at])
        for at, record in enumerate(records)
    }
    endpoint = Endpoint(FixedModel(BundleModel(model)), log=len)

    async def ask():
        transport = httpx.ASGITransport(app=build_app(endpoint))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return await client.post("/invocations", json={"dataframe_records": records})

    by_http = told(asyncio.run(ask()).json()["predictions"])

    with zipfile.ZipFile(io.BytesIO(function_zip([], bundle).content)) as package:
        package.extractall(tmp_path / "task")
    site = Path(np.__file__).parents[1]
    with running(
        "app.handler", path=[tmp_path / "task", site], environ={}, folder=tmp_path
    ) as function:
        _, answer = function.call({"dataframe_records": records})
    by_lambda = told(answer["predictions"])
    differences = [equal(found, by_spark) for found in (direct, by_http, by_lambda)]
    assert max(differences) <= 1e-9
    assert by_http == by_lambda


def test_a_real_model_is_explained(bundle, records):
    usual = BundleModel(load_bundle(bundle)).reference_row()
    assert (usual["seats"], usual["city"][:4]) == (14, "Łódź")
    assert usual["dist ance"] == pytest.approx(2.0, abs=0.5)
    endpoint = Endpoint(FixedModel(BundleModel(load_bundle(bundle))), log=len)
    from crisp_spark.serving.endpoint.service import Request

    body = json.dumps({"dataframe_records": records[:4]}).encode()
    reply = endpoint.handle(Request("POST", "/explain", body))
    assert reply.status == 200, reply.body
    for one in json.loads(reply.body)["explanations"]:
        parts = one["contributions"]
        assert set(parts) == {"dist ance", "seats", "city"}
        assert math.isclose(
            sum(parts.values()), one["explained_score"] - one["base_score"], abs_tol=1e-12
        )
        assert any(parts.values())


def test_a_folder_must_hold_one_bundle(bundle, tmp_path):
    from crisp_spark.errors import ModelError

    with pytest.raises(ModelError, match="found 0"):
        load(tmp_path)
    (tmp_path / "model.crisp.zip").write_bytes(bundle)
    assert load(tmp_path).identity.version == "7"
    assert load(tmp_path / "model.crisp.zip").identity.digest == load(tmp_path).identity.digest
