"""The function under AWS's runtime client and interface emulator, S3 by a server on loopback."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from crisp_spark.errors import UnavailableError, UsageError
from crisp_spark.serving.endpoint.holding import FixedModel, Settings
from crisp_spark.serving.endpoint.on_lambda import RefusedError, answer_event
from crisp_spark.serving.endpoint.service import Endpoint
from tests.serving.emulator import running
from tests.serving.published import published
from tests.serving.toy_model import ToyModel

ROOT = Path(__file__).parents[2]
ROW = {"delay": 40.0, "carrier": "AA", "seats": 100, "day": None}
SCORE = 1 / (1 + math.exp(-2.5))


def put(aws, bucket, objects, place="models/toy/"):
    for key, content in objects.items():
        aws.s3.put_object(Bucket=bucket, Key=place + key, Body=content)


def function_url(body, *, method="POST", path="/invocations", **more):
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {"Content-Type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
    } | more


def s3_event(bucket, key):
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


@pytest.fixture
def environ(aws_server, bucket):
    return {
        "AWS_ENDPOINT_URL_S3": aws_server,
        "AWS_REGION": "us-east-1",
        "CRISP_MODEL": f"s3://{bucket}/models/toy",
        "CRISP_ALIAS": "champion",
        "CRISP_REFRESH_SECONDS": "0.001",
        "CRISP_OUTPUT": f"s3://{bucket}/scored",
    }


def started(environ, tmp_path, **more):
    environ = {**environ, "CRISP_CACHE": str(tmp_path)}
    return running(
        "tests.serving.toy_function.handler", path=[ROOT], environ=environ, folder=tmp_path, **more
    )


def test_the_function_answers_follows_its_alias_and_scores_files(aws, bucket, environ, tmp_path):
    put(aws, bucket, published("1", 1))
    csv = b"delay,carrier,seats,day,hour\n40,AA,100,,\nsoon,AA,1,,\n,UA,1,,20\n,UA,1,,\n"
    with started(environ, tmp_path) as function:
        _, told = function.call({"dataframe_records": [ROW]})
        assert told["predictions"][0]["score"] == pytest.approx(SCORE, abs=1e-15)
        assert told["model"]["version"] == "1"

        _, told = function.call({"dataframe_records": [ROW | {"delay": "x"}]})
        assert told["errorType"] == "RefusedError"
        assert json.loads(told["errorMessage"])["error_code"] == "WRONG_TYPE"

        put(aws, bucket, published("2", 2))
        _, told = function.call(function_url(json.dumps({"inputs": [ROW]})))
        assert told["statusCode"] == 200
        assert json.loads(told["body"])["model"]["version"] == "2"
        assert told["headers"]["X-Request-Id"] in function.log  # Lambda's own id

        put(aws, bucket, {"in/day 1.csv": csv}, place="")
        _, told = function.call(s3_event(bucket, "in/day+1.csv"))
        assert told[0] | {"source": ""} == {
            "source": "",
            "rows_in": 4,
            "rows_scored": 2,
            "rows_rejected": 2,
            "rows_by_rule": 1,
            "reasons": {"WRONG_TYPE": 1, "NO_ANSWER": 1},
        }
        _, told = function.call({"what": "ever"})
        assert json.loads(told["errorMessage"])["error_code"] == "UNKNOWN_EVENT"
        log = function.log

    def lines(name):
        body = aws.s3.get_object(Bucket=bucket, Key=f"scored/in/day 1.csv.{name}")["Body"]
        return [json.loads(line) for line in body.read().splitlines()]

    assert [one["row"] for one in lines("scored.jsonl")] == [0, 2]
    assert lines("scored.jsonl")[1]["answered_by"] == "fallback"
    assert [one["row"] for one in lines("rejected.jsonl")] == [1, 3]
    assert "takes a number" in lines("rejected.jsonl")[0]["reasons"][0]
    (summary,) = lines("summary.json")
    assert summary["rows_in"] == 4
    metrics = [json.loads(line) for line in log.splitlines() if line.startswith('{"_aws"')]
    assert [one["ServerErrors"] for one in metrics] == [0] * len(metrics)
    assert {one["Version"] for one in metrics} == {"1", "2"}


def test_a_function_that_takes_too_long_is_ended_and_answers_again(aws, bucket, environ, tmp_path):
    # The time-out covers the start anew after it as well, so it leaves a busy machine room for one.
    put(aws, bucket, published("1", 1, seconds=50.0))
    with started(environ, tmp_path, seconds=8) as function:
        _, told = function.call({"dataframe_records": [ROW]})
        assert "timed out after 8" in str(told).lower()
        put(aws, bucket, published("2", 2))
        _, told = function.call({"dataframe_records": [ROW]})
        assert told["model"]["version"] == "2"


@pytest.mark.parametrize("what", ["nothing", "damaged", "down"])
def test_a_failed_start_says_why(what, aws, bucket, environ, tmp_path):
    objects = published("1", 1)
    if what == "damaged":
        bundle = next(key for key in objects if key.startswith("bundles/"))
        put(aws, bucket, objects | {bundle: b"torn"})
    if what == "down":
        environ = environ | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    words = {"nothing": "points at nothing", "damaged": "checksum differs", "down": "3 tries"}
    with started(environ, tmp_path) as function:
        function.call({"dataframe_records": [ROW]})
        assert words[what] in function.log
        assert "secret" not in function.log.lower()


class Context(SimpleNamespace):
    aws_request_id = "id-1"

    def __init__(self, seconds=10.0):
        super().__init__(seconds=seconds)

    def get_remaining_time_in_millis(self):
        return int(self.seconds * 1000)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(FixedModel(ToyModel()), log=len)


def answered(endpoint, event, **more):
    return answer_event(endpoint, Settings("m", **more), event, Context())


def test_every_kind_of_http_event_is_answered(endpoint):
    body = json.dumps({"inputs": [ROW]})
    rest = {
        "httpMethod": "POST",
        "path": "/invocations",
        "headers": None,
        "requestContext": {"stage": "prod"},
        "body": body,
    }
    staged = function_url(body, path="/prod/invocations")
    staged["requestContext"]["stage"] = "prod"
    encoded = function_url(base64.b64encode(body.encode()).decode(), isBase64Encoded=True)
    for event in (function_url(body), rest, staged, encoded):
        told = answered(endpoint, event)
        assert told["statusCode"] == 200, told
        assert told["headers"]["X-Request-Id"] == "id-1"
        assert json.loads(told["body"])["predictions"][0]["prediction"] == "true"
    assert answered(endpoint, function_url(None, method="GET", path="/ping"))["statusCode"] == 200
    assert answered(endpoint, function_url(None))["statusCode"] == 400
    bad = answered(endpoint, function_url("%%%", isBase64Encoded=True))
    assert (bad["statusCode"], json.loads(bad["body"])["error_code"]) == (400, "MALFORMED_BODY")


def test_an_answer_that_lambda_would_not_pass_on_is_refused(endpoint):
    rows = {"inputs": [ROW | {"flight id": "x" * 1500}] * 4000}
    endpoint = Endpoint(FixedModel(ToyModel()), log=len, limits=endpoint.limits)
    event = function_url(json.dumps(rows))
    object.__setattr__(endpoint.limits, "bytes", 10_000_000)
    told = answered(endpoint, event)
    assert (told["statusCode"], json.loads(told["body"])["error_code"]) == (413, "TOO_LARGE")


def test_files_are_not_scored_in_a_circle(endpoint):
    with pytest.raises(UsageError, match="CRISP_OUTPUT"):
        answered(endpoint, s3_event("b", "in/x.csv"))
    with pytest.raises(UsageError, match="below CRISP_OUTPUT"):
        answered(endpoint, s3_event("b", "out/x.csv"), output="s3://b/out/")
    with pytest.raises(UsageError, match="no event of S3"):
        answered(endpoint, {"Records": [{"Sns": {}}]}, output="s3://b/out/")


def test_a_file_that_would_not_be_done_in_time_is_left_for_the_next_try(endpoint, aws, bucket):
    put(aws, bucket, {"in/x.jsonl": json.dumps(ROW).encode()}, place="")
    settings = Settings("m", output=f"s3://{bucket}/out")
    with pytest.raises(UnavailableError, match="too large"):
        answer_event(endpoint, settings, s3_event(bucket, "in/x.jsonl"), Context(1.0))
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket, Prefix="out/")


def test_a_file_that_eventbridge_tells_of_is_scored(endpoint, aws, bucket):
    put(aws, bucket, {"in/a+b.jsonl": json.dumps(ROW).encode()}, place="")
    detail = {"bucket": {"name": bucket}, "object": {"key": "in/a+b.jsonl"}}
    event = {"detail-type": "Object Created", "detail": detail}
    (summary,) = answered(endpoint, event, output=f"s3://{bucket}/out")
    assert (summary["rows_in"], summary["rows_scored"]) == (1, 1)
    aws.s3.head_object(Bucket=bucket, Key="out/in/a+b.jsonl.summary.json")


def test_a_direct_call_is_refused_with_the_fault(endpoint):
    with pytest.raises(RefusedError, match="MALFORMED_BODY"):
        answered(endpoint, {"inputs": 1})
