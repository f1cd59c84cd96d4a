from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_spark.serving.endpoint.holding import FixedModel
from crisp_spark.serving.endpoint.reading import Limits
from crisp_spark.serving.endpoint.service import Endpoint, Request
from tests.serving.toy_model import ToyModel

GOOD = {"delay": 40.0, "carrier": "AA", "seats": 100, "day": "2026-11-24"}


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def endpoint(log) -> Endpoint:
    return Endpoint(FixedModel(ToyModel()), log=log.append)


def post(endpoint, body, *, path="/invocations", kind="application/json", **more):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = endpoint.handle(Request("POST", path, content, kind), **more)
    return reply.status, json.loads(reply.body)


def predictions(endpoint, body, **more):
    status, told = post(endpoint, body, **more)
    assert status == 200, told
    return told["predictions"]


def test_every_form_of_body_gives_the_same_answer(endpoint):
    names, row = list(GOOD), list(GOOD.values())
    bodies = [
        {"dataframe_records": [GOOD, GOOD]},
        {"instances": [GOOD, GOOD]},
        {"inputs": [GOOD, GOOD]},
        {"inputs": {name: [value, value] for name, value in GOOD.items()}},
        {"dataframe_split": {"columns": names, "data": [row, row]}},
        {"dataframe_split": {"columns": names, "index": [7, 8], "data": [row, row]}},
    ]
    found = [predictions(endpoint, body) for body in bodies]
    line = ",".join(map(str, row))
    text = f"{','.join(names)}\r\n{line}\r\n{line}\r\n".encode()
    found.append(predictions(endpoint, text, kind="text/csv; charset=utf-8"))
    found.append(predictions(endpoint, b"\xef\xbb\xbf" + text, kind="text/csv"))
    expected = 1 / (1 + math.exp(-(4 - 3 + 0.5 + 1)))
    for answers in found:
        assert [one["score"] for one in answers] == [pytest.approx(expected, abs=1e-15)] * 2
        assert answers[0]["prediction"] == "true"
        assert answers[0]["decision"] is True
        assert answers[0]["answered_by"] == "model"


def test_null_is_taken_and_the_key_comes_back(endpoint):
    row = {"delay": 0, "carrier": None, "seats": None, "day": None, "flight id": "Zürich 7"}
    (answer,) = predictions(endpoint, {"dataframe_records": [row]})
    assert answer["score"] == pytest.approx(1 / (1 + math.exp(3)), abs=1e-15)
    assert answer["key"] == {"flight id": "Zürich 7"}


def test_the_rule_answers_where_the_model_cannot_and_says_so(endpoint):
    rows = [GOOD | {"delay": None, "hour": hour} for hour in (20, 9, None)]
    late, early, neither = predictions(endpoint, {"dataframe_records": rows})
    assert late == {
        "prediction": None,
        "answered_by": "fallback",
        "decision": True,
        "reasons": ["delay: missing"],
    }
    assert early["decision"] is False
    assert neither == {"prediction": None, "answered_by": None, "reasons": ["delay: missing"]}


def test_the_rule_stands_in_for_a_broken_model_and_nothing_leaks(log):
    body = {"dataframe_records": [GOOD | {"carrier": "BUG", "hour": 20}]}
    (answer,) = predictions(Endpoint(FixedModel(ToyModel()), log=log.append), body)
    assert (answer["answered_by"], answer["decision"]) == ("fallback", True)
    status, told = post(Endpoint(FixedModel(ToyModel(rule=False)), log=log.append), body)
    assert status == 500
    assert told["error_code"] == "INTERNAL"
    assert "ZeroDivisionError" in "".join(log)
    assert "4711" not in json.dumps(told) + "".join(log)


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        ({"delay": "1"}, "WRONG_TYPE", "delay"),
        ({"delay": True}, "WRONG_TYPE", "delay"),
        ({"delay": [1]}, "WRONG_TYPE", "delay"),
        ({"seats": 1.5}, "WRONG_TYPE", "seats"),
        ({"seats": 2**31}, "WRONG_TYPE", "seats"),
        ({"carrier": 7}, "WRONG_TYPE", "carrier"),
        ({"carrier": "\ud800"}, "WRONG_TYPE", "carrier"),
        ({"day": "24.11.2026"}, "WRONG_TYPE", "day"),
        ({"day": "2026-02-30"}, "WRONG_TYPE", "day"),
        ({"carier": "AA"}, "UNKNOWN_COLUMN", "carier"),
        ({"carrier": ...}, "MISSING_COLUMN", "carrier"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(endpoint, change, code, column):
    bad = {name: value for name, value in (GOOD | change).items() if value is not ...}
    status, told = post(endpoint, {"dataframe_records": [GOOD, bad]})
    assert status == 400
    assert (told["error_code"], told["column"]) == (code, column)
    if code != "UNKNOWN_COLUMN":
        assert told["row"] == 1


def test_all_faults_are_told_at_once_and_no_value_with_them(endpoint):
    rows = [GOOD | {"delay": "4711"}, GOOD | {"seats": "4711"}, {"carier": "4711"}]
    _, told = post(endpoint, {"dataframe_records": rows})
    codes = [(one["error_code"], one["column"], one.get("row")) for one in told["faults"]]
    assert ("WRONG_TYPE", "delay", 0) in codes
    assert ("WRONG_TYPE", "seats", 1) in codes
    assert ("MISSING_COLUMN", "day", 2) in codes
    assert "is 'carrier' meant" in told["message"]
    assert "4711" not in json.dumps(told)


def test_a_whole_number_may_be_written_with_a_point(endpoint):
    predictions(endpoint, {"dataframe_records": [GOOD | {"seats": 100.0}]})


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"", "application/json", 400, "MALFORMED_JSON"),
        (b"\xff", "application/json", 400, "MALFORMED_BODY"),
        (b"[" * 100_000, "application/json", 400, "MALFORMED_JSON"),
        (
            b'{"inputs": [{"delay": ' + b"9" * 5000 + b"}]}",
            "application/json",
            400,
            "MALFORMED_JSON",
        ),
        (b'{"inputs": [{"delay": NaN}]}', "application/json", 400, "MALFORMED_JSON"),
        (
            b'{"inputs": [{"delay": 1e999, "carrier": null, "seats": null, "day": null}]}',
            "application/json",
            400,
            "WRONG_TYPE",
        ),
        (b'{"inputs": [{"delay": 1, "delay": 2}]}', "application/json", 400, "DUPLICATE_NAME"),
        (b"[]", "application/json", 400, "MALFORMED_BODY"),
        (b"{}", "application/json", 400, "MALFORMED_BODY"),
        (b'{"inputs": [], "instances": []}', "application/json", 400, "MALFORMED_BODY"),
        (b'{"inputs": 1}', "application/json", 400, "MALFORMED_BODY"),
        (b'{"inputs": [1]}', "application/json", 400, "MALFORMED_BODY"),
        (b'{"inputs": {"delay": [1], "seats": []}}', "application/json", 400, "WRONG_LENGTH"),
        (
            b'{"dataframe_split": {"columns": ["delay"], "data": [[1, 2]]}}',
            "application/json",
            400,
            "WRONG_LENGTH",
        ),
        (
            b'{"dataframe_split": {"columns": ["delay", "delay"], "data": []}}',
            "application/json",
            400,
            "DUPLICATE_NAME",
        ),
        (b'{"dataframe_split": {"columns": ["delay"]}}', "application/json", 400, "MALFORMED_BODY"),
        (b"", "text/csv", 400, "MALFORMED_CSV"),
        (b"delay,delay\n1,2\n", "text/csv", 400, "DUPLICATE_NAME"),
        (b"delay,seats\n1\n", "text/csv", 400, "WRONG_LENGTH"),
        (b'delay\n"1', "text/csv", 400, "MALFORMED_CSV"),
        (b"{}", "application/xml", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "application/json; charset=utf-16", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_bad_body_is_refused_in_words(endpoint, body, kind, status, code):
    told = post(endpoint, body, kind=kind)
    assert (told[0], told[1]["error_code"]) == (status, code)
    assert set(told[1]) <= {"error_code", "message", "column", "row", "faults"}


def test_no_rows_are_no_answers(endpoint):
    assert predictions(endpoint, {"dataframe_records": []}) == []
    assert predictions(endpoint, {"inputs": {}}) == []
    assert predictions(endpoint, b"delay,carrier,seats,day\n", kind="text/csv") == []
    assert post(endpoint, b"delay\n", kind="text/csv")[1]["error_code"] == "MISSING_COLUMN"


def test_limits_hold():
    small = Endpoint(FixedModel(ToyModel()), limits=Limits(bytes=500, rows=2), log=len)
    assert post(small, b" " * 501)[1]["error_code"] == "TOO_LARGE"
    told = post(small, {"dataframe_records": [GOOD] * 3})
    assert (told[0], told[1]["error_code"]) == (413, "TOO_MANY_ROWS")
    slow = Endpoint(FixedModel(ToyModel(seconds=0.05)), log=len)
    told = post(slow, {"dataframe_records": [GOOD] * 2000}, seconds=0.02)
    assert (told[0], told[1]["error_code"]) == (504, "TIME_LIMIT")


def test_paths_and_methods(endpoint):
    for path in ("/ping", "/health", "/version", "/metadata", "/openapi.json"):
        reply = endpoint.handle(Request("GET", path))
        assert reply.status == 200
        json.loads(reply.body)
    assert endpoint.handle(Request("GET", "/nowhere")).status == 404
    wrong = endpoint.handle(Request("GET", "/invocations"))
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    fields = json.loads(endpoint.handle(Request("GET", "/metadata")).body)["signature"]
    assert fields[0] == {
        "name": "delay",
        "type": "double",
        "use": "model",
        "needed": True,
        "nullable": False,
    }


def test_a_requests_id_is_kept_unless_it_is_odd(endpoint):
    kept = endpoint.handle(Request("GET", "/ping", request_id="abc-1"))
    assert kept.headers["X-Request-Id"] == "abc-1"
    made = endpoint.handle(Request("GET", "/ping", request_id="a\nSet-Cookie: x"))
    assert "\n" not in made.headers["X-Request-Id"]


def test_contributions_sum_up_to_the_score(endpoint):
    rows = [GOOD, GOOD | {"delay": 0.0, "carrier": None, "seats": 150}]
    status, told = post(endpoint, {"dataframe_records": rows}, path="/explain")
    assert status == 200
    first, usual = told["explanations"]
    assert sum(first["contributions"].values()) == pytest.approx(
        first["explained_score"] - first["base_score"], abs=1e-12
    )
    assert first["contributions"]["delay"] > first["contributions"]["carrier"] > 0
    assert first["contributions"]["seats"] < 0
    assert first["contributions"]["day"] == 0
    assert set(usual["contributions"].values()) == {0.0}
    _, again = post(endpoint, {"dataframe_records": rows[:1]}, path="/explain")
    assert again["explanations"][0] == first


def test_what_the_rule_answers_is_not_explained(endpoint):
    row = GOOD | {"delay": None, "hour": 20}
    _, told = post(endpoint, {"dataframe_records": [row]}, path="/explain")
    assert told["explanations"][0]["contributions"] is None


def test_a_model_that_breaks_under_explanation_still_answers(endpoint):
    rows = [GOOD | {"carrier": "BUG", "hour": 20}]
    status, told = post(endpoint, {"dataframe_records": rows}, path="/explain")
    assert status == 200
    assert told["explanations"][0]["answered_by"] == "fallback"


def test_each_request_is_one_line_of_metrics(endpoint, log):
    predictions(endpoint, {"dataframe_records": [GOOD, GOOD | {"delay": None, "hour": 20}]})
    post(endpoint, b"{")
    good, bad = map(json.loads, log)
    assert (good["Rows"], good["FallbackRows"], good["BadRequests"]) == (2, 1, 0)
    assert (bad["Rows"], bad["BadRequests"], bad["ServerErrors"]) == (0, 1, 0)
    assert (good["ColdStarts"], bad["ColdStarts"]) == (1, 0)
    (directive,) = good["_aws"]["CloudWatchMetrics"]
    for name in {n for names in directive["Dimensions"] for n in names}:
        assert isinstance(good[name], str)
    assert "RequestId" not in str(directive)
    assert {metric["Name"] for metric in directive["Metrics"]} <= set(good)


def test_sums_for_prometheus(endpoint):
    predictions(endpoint, {"dataframe_records": [GOOD] * 3})
    text = endpoint.handle(Request("GET", "/metrics")).body.decode()
    assert 'crisp_requests_total{route="/invocations",status="200"} 1\n' in text
    assert "crisp_rows_total 3\n" in text
    assert 'crisp_request_milliseconds_bucket{le="+Inf"} 1\n' in text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
value = st.sampled_from([0, 1.5, "AA", None, True, "2026-11-24"]) | anything
record = st.dictionaries(st.sampled_from([*GOOD, "hour", "x"]), value)


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(["dataframe_records", "dataframe_split", "inputs", "x"]),
        st.lists(record, max_size=3) | anything,
    ).map(lambda content: json.dumps(content).encode()),
    kind=st.sampled_from(["application/json", "text/csv", ""]),
    path=st.sampled_from(["/invocations", "/explain"]),
)
def test_no_body_is_answered_by_a_fault_of_the_endpoint(body, kind, path):
    endpoint = Endpoint(FixedModel(ToyModel()), log=len)
    reply = endpoint.handle(Request("POST", path, body, kind))
    assert reply.status in {200, 400, 413, 415}
    told = json.loads(reply.body)
    assert ("error_code" in told) == (reply.status != 200)
