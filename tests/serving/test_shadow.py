"""A second model beside the one that answers: compared, counted, logged, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from threading import Event

import pytest

from crisp_spark.errors import ModelError, UsageError
from crisp_spark.serving.endpoint import shadow as shadow_module
from crisp_spark.serving.endpoint.holding import (
    FixedModel,
    Settings,
    open_endpoint,
    open_shadow,
    settings_of,
)
from crisp_spark.serving.endpoint.service import Endpoint, Request
from crisp_spark.serving.endpoint.shadow import Difference, Shadow, key_digest
from crisp_spark.serving.endpoint.signature import Field, Identity, RowAnswer
from tests.serving.emulator import running
from tests.serving.published import published
from tests.serving.test_lambda import ROOT
from tests.serving.toy_model import FIELDS, ToyModel, load_toy

ROW = {"delay": 40.0, "carrier": "AA", "seats": 100, "day": None, "flight id": "UA 7"}


class Other(ToyModel):
    """The toy with another threshold, score and signature."""

    def __init__(self, add=0.0, threshold=0.5, fields=FIELDS, **more):
        super().__init__("2", **more)
        self._add, self._limit, self.fields = add, threshold, fields

    def answers(self, columns, rows):
        full = {one.name: [None] * rows for one in FIELDS} | dict(columns)
        return [self._moved(one) for one in super().answers(full, rows)]

    def _moved(self, one):
        if one.score is None:
            return one
        score = one.score + self._add
        decision = score >= self._limit
        return RowAnswer(str(decision).lower(), score, decision, None, "model")


class Stuck(ToyModel):
    """Answers when it is let go."""

    def __init__(self):
        super().__init__("2")
        self.go = Event()

    def answers(self, columns, rows):
        self.go.wait(30)
        return super().answers(columns, rows)


def beside(model, log, **more):
    """An endpoint of the toy with a shadow; both write into one log."""
    shadow = Shadow(lambda: FixedModel(model), log=log.append, **more)
    return Endpoint(FixedModel(ToyModel()), log=log.append, shadow=shadow), shadow


def asked(endpoint, *rows, **more):
    body = json.dumps({"dataframe_records": list(rows)}).encode()
    reply = endpoint.handle(Request("POST", "/invocations", body, **more))
    return reply.status, json.loads(reply.body)


def metrics(endpoint):
    text = endpoint.handle(Request("GET", "/metrics")).body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("crisp_shadow_"): float(n) for name, n in pairs if "shadow" in name}


def lines(log):
    found = [json.loads(line) for line in log]
    return [line for line in found if line.get("event") == "shadow"]


def test_the_champion_answers_and_the_difference_is_counted_and_logged():
    log = []
    endpoint, shadow = beside(Other(add=-0.1, threshold=0.9), log)
    alone = Endpoint(FixedModel(ToyModel()), log=log.append)
    rows = [ROW, ROW | {"delay": 0.0}, ROW | {"delay": None, "hour": 20}]
    status, told = asked(endpoint, *rows, request_id="r-1")
    assert (status, told) == asked(alone, *rows)
    shadow.wait()
    (line,) = lines(log)
    # 0.924 is an alert for one, 0.824 none for the other; 0.182 and 0.082 are none for both.
    expected = {
        "request": "r-1",
        "rows": 3,
        "class_changes": 1,
        "answerer_changes": 0,
        "scored_rows": 2,
    }
    assert {name: line[name] for name in expected} == expected
    assert line["mean_abs_score_difference"] == pytest.approx(0.1)
    assert line["max_abs_score_difference"] == pytest.approx(0.1)
    assert (line["champion"]["version"], line["shadow"]["version"]) == ("1", "2")
    found = metrics(endpoint)
    assert (found["requests_total"], found["rows_total"], found["errors_total"]) == (1, 3, 0)
    assert (found["class_changes_total"], found["scored_rows_total"]) == (1, 2)
    assert found["score_difference_max"] == pytest.approx(0.1)
    assert found["score_difference_mean"] == pytest.approx(0.1)


def test_another_answerer_is_told_from_another_class():
    one = {"prediction": None, "decision": True, "answered_by": "fallback"}
    other = {"prediction": "true", "decision": True, "score": 0.9, "answered_by": "model"}
    found = Difference()
    found.add(one, other, continuous=False)
    assert (found.answerer_changes, found.class_changes, found.scored_rows) == (1, 0, 0)


def test_of_numbers_only_the_distance_counts():
    found = Difference()
    for ours, theirs in ((1.0, 3.0), (5.0, 5.0), (1.0, float("inf"))):
        found.add(
            {"prediction": ours, "score": ours, "answered_by": "model"},
            {"prediction": theirs, "score": theirs, "answered_by": "model"},
            continuous=True,
        )
    assert (found.rows, found.class_changes, found.scored_rows) == (3, 0, 2)
    assert (found.mean_abs, found.max_abs) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (ToyModel("2"), "ZeroDivisionError"),  # broken by the row
        (Other(fields=(*FIELDS, Field("gate", "string"))), "gate"),  # wants more than is sent
    ],
)
def test_a_failing_shadow_is_counted_logged_and_without_effect(model, error):
    log = []
    endpoint, shadow = beside(model, log)
    broken = ROW | ({"carrier": "BUG", "hour": 20} if error == "ZeroDivisionError" else {})
    status, told = asked(endpoint, broken, request_id="r-2")
    assert (status, len(told["predictions"])) == (200, 1)
    shadow.wait()
    found = metrics(endpoint)
    assert (found["requests_total"], found["errors_total"]) == (0, 1)
    (line,) = lines(log)
    assert (line["level"], line["request"]) == ("ERROR", "r-2")
    assert error in line["error"]
    assert "4711" not in "".join(log)  # the value in the error's text
    assert "UA 7" not in "".join(log)
    health = json.loads(endpoint.handle(Request("GET", "/health")).body)
    assert error in health["shadow"]["trouble"]
    assert health["trouble"] == ""


def test_a_column_that_only_the_champion_reads_is_no_fault():
    log = []
    endpoint, shadow = beside(Other(fields=FIELDS[:2]), log)
    asked(endpoint, ROW)
    shadow.wait()
    assert (metrics(endpoint)["requests_total"], metrics(endpoint)["errors_total"]) == (1, 0)


def test_nobody_waits_for_a_slow_shadow_and_what_piles_up_is_left_out(monkeypatch):
    monkeypatch.setattr(shadow_module, "MOST_WAITING_ROWS", 5)
    log, slow = [], Stuck()
    endpoint, shadow = beside(slow, log)
    begun = time.monotonic()
    for _ in range(20):
        assert asked(endpoint, ROW)[0] == 200
    assert time.monotonic() - begun < 5
    assert metrics(endpoint)["left_out_total"] == 15
    assert metrics(endpoint)["requests_total"] == 0
    slow.go.set()
    shadow.wait()
    assert metrics(endpoint)["requests_total"] == 5
    asked(endpoint, ROW)
    shadow.wait()
    assert metrics(endpoint)["requests_total"] == 6


class Busy(ToyModel):
    """Computes for a while."""

    def answers(self, columns, rows):
        until = time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
        return super().answers(columns, rows)


@pytest.mark.parametrize(("model", "least", "most"), [(Busy("2"), 0.6, 1.2), (Stuck(), 0.0, 0.2)])
def test_a_busy_shadow_rests_a_waiting_one_need_not(model, least, most):
    rests = []
    endpoint, shadow = beside(model, [], sleep=rests.append)
    asked(endpoint, ROW)
    if isinstance(model, Stuck):
        time.sleep(0.3)
        model.go.set()
    asked(endpoint, ROW)
    shadow.wait()
    assert least <= rests[0] <= most


def test_large_requests_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(shadow_module, "MOST_WAITING_BYTES", 300)
    slow = Stuck()
    endpoint, shadow = beside(slow, [])
    for _ in range(3):
        asked(endpoint, ROW, ROW)
    assert metrics(endpoint)["left_out_total"] == 2
    slow.go.set()
    shadow.wait()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_missing_shadow_is_looked_for_again_and_said_once():
    log, clock, there = [], Clock(), []

    def open_():
        if not there:
            raise ModelError("model: alias 'challenger' points at nothing")
        return FixedModel(Other())

    shadow = Shadow(open_, log=log.append, retry_seconds=60, clock=clock)
    endpoint = Endpoint(FixedModel(ToyModel()), log=log.append, shadow=shadow)
    for _ in range(3):
        assert asked(endpoint, ROW)[0] == 200
        shadow.wait()
    assert metrics(endpoint)["errors_total"] == 3
    (line,) = lines(log)
    assert "points at nothing" in line["error"]
    there.append(True)
    asked(endpoint, ROW)
    shadow.wait()
    assert metrics(endpoint)["requests_total"] == 0  # not yet time
    clock.now = 61.0
    asked(endpoint, ROW)
    shadow.wait()
    assert metrics(endpoint)["requests_total"] == 1
    assert shadow.state()["trouble"] == ""


def test_a_fault_of_the_sender_is_no_comparison():
    log = []
    endpoint, shadow = beside(Other(), log)
    assert asked(endpoint, ROW | {"delay": "x"})[0] == 400
    assert asked(endpoint)[0] == 200  # no rows
    shadow.wait()
    assert lines(log) == []


def test_many_rows_are_compared_piece_by_piece():
    log = []
    endpoint, shadow = beside(Other(add=0.25), log)
    assert asked(endpoint, *[ROW] * 1200)[0] == 200
    shadow.wait()
    assert [line["rows"] for line in lines(log)] == [512, 512, 176]
    found = metrics(endpoint)
    assert (found["requests_total"], found["rows_total"]) == (1, 1200)
    assert max(len(line) for line in log) < 256_000  # of one event in CloudWatch


def test_rows_are_logged_by_the_digest_of_their_key():
    log = []
    champion = ToyModel()
    champion.identity = Identity("toy", "1", "d", "", "binary", key=("flight id",))
    shadow = Shadow(lambda: FixedModel(Other(add=-0.5)), log=log.append)
    asked(Endpoint(FixedModel(champion), log=log.append, shadow=shadow), ROW)
    shadow.wait()
    (line,) = lines(log)
    assert line["key"] == ["flight id"]
    ((digest, said, decided, score, other, unlike, moved),) = line["outcomes"]
    assert digest == key_digest({"flight id": "UA 7"}) != key_digest({"flight id": "UA 8"})
    assert (said, decided, other, unlike) == ("true", True, "false", False)
    assert moved == pytest.approx(score - 0.5)
    assert "UA 7" not in "".join(log)


def write(folder, objects):
    for key, content in objects.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)


def test_settings_open_both_aliases_and_the_shadow_follows_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CRISP_CACHE", str(tmp_path / "cache"))
    write(tmp_path, published("1", 1))
    environ = {
        "CRISP_MODEL": str(tmp_path),
        "CRISP_ALIAS": "champion",
        "CRISP_SHADOW": "challenger",
        "CRISP_REFRESH_SECONDS": "0.001",
    }
    settings = settings_of(environ, stage="container")
    endpoint = open_endpoint(settings, load_toy)  # no challenger yet: no reason not to start
    shadow = endpoint._shadow
    assert asked(endpoint, ROW)[1]["model"]["version"] == "1"
    shadow.wait()
    assert "points at nothing" in shadow.state()["trouble"]
    for number, version in enumerate("23", start=1):
        write(tmp_path, published(version, number, "challenger"))
        time.sleep(0.01)
        asked(endpoint, ROW)
        shadow.wait()
        assert shadow.state()["model"]["version"] == version
    assert asked(endpoint, ROW)[1]["model"]["version"] == "1"
    shadow.wait()
    assert '"event":"shadow"' in capsys.readouterr().out


@pytest.mark.parametrize("alias", ["", "challenger"])
def test_a_shadow_without_another_alias_is_refused(alias):
    settings = Settings("place", alias=alias, shadow="challenger")
    with pytest.raises(UsageError, match="CRISP_SHADOW"):
        open_shadow(settings, load_toy)
    assert open_shadow(Settings("place", alias=alias), load_toy) is None


def test_a_slow_shadow_does_not_hold_up_the_end_of_a_process(tmp_path):
    code = (
        "import json, sys\n"
        "from crisp_spark.serving.endpoint.holding import FixedModel\n"
        "from crisp_spark.serving.endpoint.service import Endpoint, Request\n"
        "from crisp_spark.serving.endpoint.shadow import Shadow\n"
        "from tests.serving.toy_model import ToyModel\n"
        "slow = FixedModel(ToyModel(seconds=60))\n"
        "endpoint = Endpoint(FixedModel(ToyModel()), log=len, shadow=Shadow(lambda: slow))\n"
        f"body = json.dumps({{'dataframe_records': [{ROW!r}]}}).encode()\n"
        "print(endpoint.handle(Request('POST', '/invocations', body)).status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.stdout == "200\n"


def test_a_function_compares_beside_its_answers(aws, aws_server, bucket, tmp_path):
    for objects in (published("1", 1), published("2", 1, "challenger")):
        for key, content in objects.items():
            aws.s3.put_object(Bucket=bucket, Key=f"models/toy/{key}", Body=content)
    environ = {
        "AWS_ENDPOINT_URL_S3": aws_server,
        "AWS_REGION": "us-east-1",
        "CRISP_MODEL": f"s3://{bucket}/models/toy",
        "CRISP_ALIAS": "champion",
        "CRISP_SHADOW": "challenger",
        "CRISP_CACHE": str(tmp_path),
    }
    handler = "tests.serving.toy_function.handler"
    with running(handler, path=[ROOT], environ=environ, folder=tmp_path) as function:
        until = time.monotonic() + 60
        while '"event":"shadow"' not in function.log and time.monotonic() < until:
            _, told = function.call({"dataframe_records": [ROW]})
            assert told["model"]["version"] == "1"
        compared = [json.loads(one) for one in function.log.splitlines() if '"shadow"' in one]
    assert compared[0]["shadow"]["version"] == "2"
    assert compared[0]["max_abs_score_difference"] == 0.0
