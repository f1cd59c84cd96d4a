"""A portable model without Spark: its file, its input, its answers."""

from __future__ import annotations

import hashlib
import io
import math
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from crisp_spark.serving import Bundle, load_bundle
from crisp_spark.serving.files import pack
from crisp_spark.serving.hashing import bucket, hash_int, hash_long
from crisp_spark.serving.intake import Field, Intake, reader
from crisp_spark.serving.javatext import double_text, float_text
from crisp_spark.serving.refusal import BundleError, InputError, UnsupportedError

PASSED = {"passed": True, "rows": 10}


def column(name, kind="double"):
    return {"c": name, "t": kind}


def call(name, kind, *arguments, **more):
    return {"f": name, "t": kind, "a": list(arguments), **more}


def description(**changes):
    whole = {
        "name": "late",
        "version": "3",
        "spark": "4.1.1",
        "problem": "binary",
        "classes": ["no", "yes"],
        "threshold": 0.5,
        "signature": [
            {"name": "x", "type": "double", "use": "model", "required": False},
            {"name": "city", "type": "string", "use": "model", "required": False},
            {"name": "id", "type": "int", "use": "key", "required": True},
            {"name": "hour", "type": "int", "use": "fallback", "required": False},
        ],
        "stages": [
            {
                "kind": "sql",
                "columns": [
                    {
                        "name": "q",
                        "tree": call("Divide", "double", {"v": 6.0, "t": "double"}, column("x")),
                    }
                ],
            },
            {
                "kind": "string_index",
                "inputs": ["city"],
                "outputs": ["i"],
                "types": ["string"],
                "labels": [["a", "b"]],
                "invalid": "keep",
            },
            {
                "kind": "assemble",
                "inputs": ["q", "i"],
                "output": "features",
                "invalid": "error",
            },
            {
                "kind": "classifier",
                "family": "logistic",
                "input": "features",
                "outputs": {"prediction": "prediction", "raw": "raw", "probability": "p"},
                "classes": 2,
                "coefficients": "w",
                "intercept": "b",
                "threshold": 0.5,
            },
        ],
        "answer": {"prediction": "prediction", "raw": "raw", "probability": "p"},
        "fallback": {
            "expression": "hour >= 17",
            "tree": call(
                "GreaterThanOrEqual", "boolean", column("hour", "int"), {"v": 17, "t": "int"}
            ),
        },
    }
    return {**whole, **changes}


ARRAYS = {"w": np.array([1.0, -0.5]), "b": np.array([-1.5])}


@pytest.fixture(scope="module")
def content():
    return pack(description(), ARRAYS, PASSED)


@pytest.fixture
def bundle(content):
    return load_bundle(content)


def row(**changes):
    return {"x": 3.0, "city": "b", "id": 1, "hour": 18, **changes}


def test_a_row_is_answered_with_score_prediction_and_decision(bundle):
    answers = bundle.score([row()])
    expected = 1 / (1 + math.exp(-(2.0 - 0.5 - 1.5)))
    assert answers.score == [expected] == [0.5]
    # At the very threshold: the decision counts it in, the model's own prediction does not.
    assert (answers.decision, answers.prediction) == ([True], ["no"])
    assert bundle.score([row(x=2.0)]).score == [pytest.approx(1 / (1 + math.exp(-1)), abs=1e-15)]
    assert answers.row(0) == {
        "prediction": "no",
        "score": 0.5,
        "decision": True,
        "answered_by": "model",
        "model": "late 3",
    }


def test_columns_behind_the_last_stage_are_told_of_rows_that_no_stage_refuses(bundle):
    rows = [row(), row(x=0.0), row(id=None), row(x=-2.0, city="a")]
    places, found = bundle.columns(rows, ["features", "x", "prediction"])
    assert places == [0, 3]
    assert found["features"].tolist() == [[2.0, 1.0], [-3.0, 0.0]]
    assert found["x"].tolist() == [[3.0], [-2.0]]
    assert found["prediction"].tolist() == [[0.0], [0.0]]
    places, found = bundle.columns([row(x=0.0)], ["features", "x"])
    assert (places, found["features"].shape, found["x"].shape) == ([], (0, 2), (0, 1))
    assert (bundle.width("features"), bundle.width("x")) == (2, None)


def test_missing_values_of_columns_are_not_numbers():
    hot = {
        "kind": "one_hot",
        "inputs": ["x"],
        "outputs": ["v"],
        "sizes": [3],
        "drop_last": False,
        "invalid": "error",
    }
    stages = [hot, {"kind": "slice", "input": "v", "output": "features", "places": [0, 1]}]
    bundle = Bundle(description(stages=stages), {})
    _, found = bundle.columns([row(x=1.0), row(x=None)], ["v", "features", "x"])
    assert found["v"][0].tolist() == [0.0, 1.0, 0.0]
    assert all(np.isnan(found[name][1]).all() for name in found)


def test_rows_columns_and_numpy_give_the_same(bundle):
    rows = [row(x=n / 7 + 0.1, city="abz"[n % 3], id=n) for n in range(50)]
    columns = {name: [one[name] for one in rows] for name in rows[0]}
    arrays = {**columns, "x": np.array(columns["x"]), "id": np.array(columns["id"], dtype=np.int32)}
    one_by_one = [bundle.score([one]).score[0] for one in rows]
    for data in (rows, columns, arrays):
        assert bundle.score(data).score == one_by_one


def test_a_refused_row_says_why_and_the_rule_answers_for_it(bundle):
    answers = bundle.score(
        [row(), row(x=0.0), row(id=None, hour=3), row(x="many", hour=None), row(x=None)]
    )
    assert answers.reasons == [
        [],
        ["cannot be derived from this row: q (division by zero)"],
        ["id: missing"],
        ["x: not a double"],
        ["q: null or NaN"],
    ]
    assert answers.answered_by == ["model", "fallback", "fallback", None, "fallback"]
    assert answers.decision == [True, True, False, None, True]
    assert answers.score[1:] == [None] * 4
    assert answers.row(2)["reasons"] == ["id: missing"]


def test_a_missing_field_refuses_the_row_and_a_missing_column_the_call(bundle):
    short = {key: value for key, value in row().items() if key != "x"}
    assert bundle.score([row(), short]).reasons == [[], ["x: the field is missing"]]
    without_rule = {key: value for key, value in row().items() if key != "hour"}
    assert bundle.score([without_rule]).answered_by == ["model"]
    with pytest.raises(InputError, match="no such column 'city', 'id'"):
        bundle.score({"x": [1.0]})
    with pytest.raises(InputError, match="differ in length"):
        bundle.score({"x": [1.0], "city": ["a", "b"], "id": [1]})


@pytest.mark.parametrize("data", [None, 7, "rows", [1], [["x", 1]], {"x": 1, "city": 2, "id": 3}])
def test_what_is_no_table_is_refused(bundle, data):
    with pytest.raises(InputError):
        bundle.score(data)


def test_no_rows_give_no_answers(bundle):
    assert len(bundle.score([])) == 0
    assert list(bundle.score({"x": [], "city": [], "id": []})) == []


def test_many_threads_get_the_answers_of_one(bundle):
    rows = [row(x=n + 0.5, id=n) for n in range(200)]
    expected = bundle.score(rows).score
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: bundle.score([one]).score[0], rows)) == expected


def test_many_threads_fall_back_each_on_its_own_row():
    """A rule keeps a common part while a row is under way: rows of two threads must not meet."""
    reference = call("CommonExpressionRef", "int", id="c1")
    hour = column("hour", "int")
    same = call("EqualTo", "boolean", reference, call("Abs", "int", hour))
    tree = call("With", "boolean", same, call("Abs", "int", hour), id="c1")
    rule = {"expression": "abs(hour) = abs(hour)", "tree": tree}
    bundle = load_bundle(pack(description(fallback=rule), ARRAYS, PASSED))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            columns = [{"hour": [n] * 300, "id": [1] * 300} for n in range(40)]
            columns = [{**one, "x": [1.0] * 300, "city": ["a"] * 300} for one in columns]
            found = list(pool.map(lambda one: bundle.stand_in(one, "down").decision, columns))
    finally:
        sys.setswitchinterval(before)
    assert all(all(decisions) for decisions in found)


# The file


def test_the_same_model_gives_the_same_bytes_and_another_version_others(content):
    assert pack(description(), ARRAYS, PASSED) == content
    assert pack(description(version="4"), ARRAYS, PASSED) != content


def test_the_digest_is_checked(content, tmp_path):
    file = tmp_path / "m.crisp.zip"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert load_bundle(file, sha256=digest).digest == digest
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(file, sha256="0" * 64)


def rezipped(content, **changes):
    """The archive with members replaced; None takes one out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, old in members.items():
            new = changes.get(name.split(".")[0], old)
            if new is not None:
                archive.writestr(name, new)
    return made.getvalue()


def test_a_damaged_file_is_refused_by_name(content, tmp_path):
    with pytest.raises(BundleError, match=r"model.json is not what was written"):
        load_bundle(rezipped(content, model=b"{}"))
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(rezipped(content, arrays=None))
    with pytest.raises(BundleError, match="format 99"):
        load_bundle(rezipped(content, manifest=b'{"format": 99, "sha256": {}}'))
    for broken in (b"", b"no zip", content[:200], content[: len(content) // 2]):
        with pytest.raises(BundleError, match="damaged"):
            load_bundle(broken)
    with pytest.raises(BundleError, match="cannot read"):
        load_bundle(tmp_path / "absent.zip")


def test_a_bundle_that_was_never_compared_with_spark_is_refused():
    for parity in (None, {"passed": False}):
        content = pack(description(), ARRAYS, parity)
        with pytest.raises(BundleError, match="no passed comparison"):
            load_bundle(content)
        assert load_bundle(content, unchecked=True).label == "late 3"


def test_a_description_without_sense_or_with_an_unknown_stage_is_refused():
    with pytest.raises(UnsupportedError, match="no stage 'magic'"):
        Bundle(description(stages=[{"kind": "magic"}]), ARRAYS)
    with pytest.raises(BundleError, match="makes no sense"):
        Bundle({"name": "x"}, ARRAYS)
    with pytest.raises(BundleError, match="makes no sense"):
        Bundle(description(), {})
    odd = description()["stages"]
    odd[0]["columns"][0]["tree"] = call("Rand", "double")
    with pytest.raises(UnsupportedError, match="Rand"):
        Bundle(description(stages=odd), ARRAYS)


# The input


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("double", 3, 3.0),
        ("double", " 2.5e1 ", 25.0),
        ("double", True, None),
        ("double", "2,5", None),
        ("double", Decimal("1.5"), 1.5),
        ("double", np.float32(0.5), 0.5),
        ("float", 0.1, float(np.float32(0.1))),
        ("int", 3.0, 3),
        ("int", 3.5, None),
        ("int", "3.0", 3),
        ("int", 2**31, None),
        ("int", math.nan, None),
        ("int", math.inf, None),
        ("bigint", np.int64(2**62), 2**62),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("boolean", "perhaps", None),
        ("string", 7, "7"),
        ("string", 1e10, "1.0E10"),
        ("string", ["a"], None),
        ("date", "2024-02-29", 19782),
        ("date", "2024-02-30", None),
        ("date", date(1970, 1, 2), 1),
        ("timestamp", "1970-01-01T00:00:01+01:00", -3_599_000_000),
        ("timestamp", datetime(1970, 1, 1, 1, tzinfo=UTC), 3_600_000_000),
        ("timestamp", 5, None),
        ("decimal(4,1)", "12.25", Decimal("12.3")),
        ("decimal(4,1)", 12345, None),
        ("array<string>", ["a", None], ["a", None]),
        ("array<int>", ["a"], None),
    ],
)
def test_values_are_taken_where_nothing_is_lost(kind, given, expected):
    assert reader(kind)(given) == expected


def test_an_empty_cell_of_a_csv_is_missing_but_an_empty_text_is_a_text():
    intake = Intake([Field("n", "int"), Field("s", "string"), Field("k", "string", "key", True)])
    assert intake.row({"n": " ", "s": "", "k": "a"}) == ([None, "", "a"], [])
    assert intake.row({"n": 1, "s": "", "k": " "})[1] == ["k: missing"]


def test_a_type_that_cannot_be_scored_is_named():
    with pytest.raises(InputError, match="map<string,int>"):
        reader("map<string,int>")


# Texts and hashes of the JVM (values from the JVM itself)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (100.0, "100.0"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (123456.789, "123456.789"),
        (-1.5e300, "-1.5E300"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_doubles_are_written_as_in_java(value, text):
    assert double_text(value) == text


def test_floats_are_written_as_in_java():
    assert float_text(float(np.float32(0.1))) == "0.1"
    assert float_text(float(np.float32(1.1e10))) == "1.1E10"


def test_hashes_are_those_of_murmur3():
    assert hash_int(0, 42) == 933211791
    assert hash_long(0, 42) == -1670924195
    assert 0 <= bucket("a", 16) < 16


def test_scoring_loads_numpy_and_the_standard_library_only(content, tmp_path):
    file = tmp_path / "m.crisp.zip"
    file.write_bytes(content)
    code = (
        "import sys\nfrom crisp_spark.serving import load_bundle\n"
        f"load_bundle({str(file)!r}).score([])\n"
        "names = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in names if not name.startswith(('_', 'sitecustom'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(eval(done.stdout)) <= {"crisp_spark", "numpy", "site", "cython_runtime"}
