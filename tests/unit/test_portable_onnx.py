"""ONNX graphs of portable models: the same answers as the bundle, or refused by name."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from crisp_spark.cli.main import main
from crisp_spark.deployment import onnx_graph, onnx_learners
from crisp_spark.deployment.onnx_export import cut_of
from crisp_spark.deployment.portable_sql import NotPortableError
from crisp_spark.errors import DataError, EnvironmentFaultError
from crisp_spark.run.portable_onnx import make_onnx, rows_of_file
from crisp_spark.serving import load_bundle
from crisp_spark.serving.files import pack

ort = pytest.importorskip("onnxruntime")

NAMES = ("a", "b", "c")
ROWS = [
    {"a": n * 37 % 101 / 10 - 5.0, "b": float(n % 5), "c": None if n % 7 == 0 else n * 0.3}
    for n in range(60)
]
ASSEMBLE = {"kind": "assemble", "inputs": list(NAMES), "output": "features", "invalid": "error"}
# Two trees of numbers and categories, and one that is a single leaf.
TREES = {
    "t.feature": np.array([0, -1, 1, -1, -1, 2, -1, -1, -1], dtype=np.int32),
    "t.threshold": np.array([2.0, 0, 0, 0, 0, 1.5, 0, 0, 0]),
    "t.left": np.array([1, 0, 3, 0, 0, 6, 0, 0, 0], dtype=np.int32),
    "t.right": np.array([2, 0, 4, 0, 0, 7, 0, 0, 0], dtype=np.int32),
    "t.root": np.array([0, 5, 8], dtype=np.int32),
    "t.sets": np.array([-1, -1, 0, -1, -1, -1, -1, -1, -1], dtype=np.int32),
    "t.side": np.array([True, True, False, True, True, True, True, True, True]),
    "t.members": np.array([0.0, 3.0]),
    "t.bounds": np.array([0, 2], dtype=np.int32),
    "t.prediction": np.array([0.0, 0.1, 0.0, -0.7, 1.3, 0.0, 0.25, -2.5, 0.3]),
    "t.stats": np.array([[0.0, 0], [3, 1], [0, 0], [0, 2], [5, 5], [0, 0], [7, 1], [0, 0], [1, 3]]),
    "w": np.array([1.0, 0.1, 0.3]),
}
ONE = {name: values[:5] for name, values in TREES.items()} | {"t.root": TREES["t.root"][:1]}
LINE = {"k": np.array([0.7, -1.3, 0.05]), "i": np.array([0.4])}
THREE = {"k": np.array([[0.7, -1.3, 0.05], [0.0, 0.2, -0.1], [-0.5, 0.1, 0.3]]), "i": np.ones(3)}
CODES = {"coefficients": "k", "intercept": "i"}


def signature(names=NAMES, kind="double"):
    return [{"name": n, "type": kind, "use": "model", "required": False} for n in names]


def model(stages, **changes):
    outputs = stages[-1]["outputs"]
    return {
        "name": "late",
        "version": "3",
        "spark": "4.1.1",
        "problem": "binary",
        "classes": ["no", "yes"],
        "threshold": 0.6,
        "signature": signature(),
        "stages": stages,
        "answer": outputs,
        "fallback": None,
        **changes,
    }


def classifier(classes=2, **formula):
    outputs = {"prediction": "prediction", "raw": "raw", "probability": "p"}
    whole = {"kind": "classifier", "input": "features", "outputs": outputs, "classes": classes}
    return {**whole, **formula}


def regressor(**formula):
    outputs = {"prediction": "prediction"}
    return {"kind": "regressor", "input": "features", "outputs": outputs, **formula}


def packed(learner, arrays, *, before=(ASSEMBLE,), **changes):
    if learner["kind"] == "regressor":
        changes = {"problem": "regression", "classes": [], "threshold": None, **changes}
    elif learner["classes"] > 2:
        changes = {
            "problem": "multiclass",
            "classes": ["x", "y", "z"],
            "threshold": None,
            **changes,
        }
    return pack(model([*before, learner], **changes), arrays, {"passed": True})


FAMILIES = {
    "logistic": (classifier(family="logistic", threshold=0.31, **CODES), LINE),
    "logistic, always": (classifier(family="logistic", threshold=0.0, **CODES), LINE),
    "thresholds": (classifier(family="logistic", thresholds=[0.2, 0.6], **CODES), LINE),
    "multinomial": (classifier(3, family="softmax", **CODES), THREE),
    "multinomial with thresholds": (
        classifier(3, family="softmax", thresholds=[0.5, 0.0, 0.9], **CODES),
        THREE,
    ),
    "margin": (classifier(family="margin", threshold=0.2, **CODES), LINE),
    "tree": (classifier(family="votes", trees="t", forest=False), ONE),
    "forest": (classifier(family="votes", trees="t", forest=True), TREES),
    "boosting": (classifier(family="boosted", trees="t", weights="w"), TREES),
    "linear": (regressor(family="linear", **CODES), LINE),
    "identity": (
        regressor(family="glm", distribution="gaussian", link="identity", link_power=None, **CODES),
        LINE,
    ),
    "log": (
        regressor(family="glm", distribution="poisson", link="log", link_power=None, **CODES),
        LINE,
    ),
    "logit": (
        regressor(family="glm", distribution="binomial", link="logit", link_power=None, **CODES),
        LINE,
    ),
    "tree of numbers": (regressor(family="trees", trees="t", mean=False), ONE),
    "mean of trees": (regressor(family="trees", trees="t", mean=True), TREES),
    "boosting of numbers": (regressor(family="trees", trees="t", weights="w"), TREES),
}


@pytest.mark.parametrize("start", ["estimator", "inputs"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_graph_answers_as_its_bundle(name, start):
    learner, arrays = FAMILIES[name]
    made = make_onnx(packed(learner, arrays), ROWS, start=start)
    assert made.parity.passed
    # Rows that the assembler refuses never reach the estimator.
    assert made.parity.rows == (51 if start == "estimator" else 60)
    assert made.parity.edge_rows > 20
    assert made.inputs == ({"features": 3} if start == "estimator" else dict.fromkeys(NAMES, 1))
    assert ("valid" in made.outputs) == (start == "inputs")
    assert made.before == (["assemble"] if start == "estimator" else [])


def run(made, **inputs):
    session = ort.InferenceSession(made.content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def test_what_a_graph_says_about_rows_worked_out_by_hand():
    made = make_onnx(packed(*FAMILIES["boosting"]), ROWS)
    # Leaves 1 and 6, then 4 (3 is tested, its side is the right one) and 7; the third is a leaf.
    found = run(made, features=np.array([[2.0, 9, 1.5], [2.0 + 1e-12, 3, 1.6]]))
    margins = [0.1 + 0.025 + 0.09, 1.3 - 0.25 + 0.09]
    scores = [1 / (1 + math.exp(-2 * margin)) for margin in margins]
    assert found["score"] == pytest.approx(scores, abs=1e-15)
    assert found["score"].dtype == np.float64
    assert found["prediction"].tolist() == [1, 1]
    assert found["decision"].tolist() == [score >= 0.6 for score in scores] == [True, True]


def test_the_file_tells_where_it_comes_from_and_is_the_same_each_time():
    content = packed(*FAMILIES["multinomial"])
    made = make_onnx(content, ROWS)
    assert made.content == make_onnx(content, ROWS).content
    session = ort.InferenceSession(made.content, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert told["model"] == "late 3"
    assert json.loads(told["classes"]) == ["x", "y", "z"]
    assert told["bundle_sha256"] == load_bundle(content).digest
    assert json.loads(told["parity"])["prediction_mismatches"] == 0


def test_numeric_stages_come_along_and_rows_that_they_refuse_are_marked():
    before = [
        {
            "kind": "impute",
            "inputs": ["a", "n"],
            "outputs": ["fa", "fn"],
            "types": ["double", "int"],
            "surrogates": ["1.25", "7.9"],
            "missing": "nan",
        },
        {
            "kind": "one_hot",
            "inputs": ["b"],
            "outputs": ["hot"],
            "sizes": [4],
            "drop_last": True,
            "invalid": "keep",
        },
        {**ASSEMBLE, "inputs": ["fa", "hot", "c", "fn"], "output": "v"},
        {"kind": "linear", "input": "v", "output": "s", "shift": "m", "scale": "d"},
        {
            "kind": "min_max",
            "input": "s",
            "output": "l",
            "low": "m",
            "scale": "z",
            "min": 0,
            "max": 3,
        },
        {"kind": "slice", "input": "l", "output": "features", "places": [6, 1, 0, 2, 5]},
    ]
    arrays = {
        "m": np.linspace(-1, 1, 7),
        "d": np.linspace(0.5, 2, 7),
        "z": np.array([0.5, 0.0, 1, 2, 3, 4, 5]),
        "k": np.array([0.7, -1.3, 0.05, 2, 1]),
        "i": np.array([0.4]),
    }
    kinds = [*signature(), *signature(["n"], "int")]
    rows = [{**row, "n": None if at % 3 else at} for at, row in enumerate(ROWS)]
    content = packed(FAMILIES["linear"][0], arrays, before=before, signature=kinds)
    made = make_onnx(content, rows, start="inputs")
    assert made.inputs == {"a": 1, "n": 1, "b": 1, "c": 1}
    assert made.stages == [spec["kind"] for spec in before] + ["regressor"]
    assert made.parity.refused > 0
    given = {"a": [np.nan, 1.25, 0], "b": [9, 9, np.nan], "c": [1, 1, 1], "n": [np.nan, 7, 1]}
    found = run(made, **{name: np.array(v, dtype=np.float64)[:, None] for name, v in given.items()})
    assert found["valid"].tolist() == [True, True, False]
    assert found["score"][0] == found["score"][1]
    (expected,) = load_bundle(content).score([{"a": None, "b": 9.0, "c": 1.0, "n": None}]).score
    assert found["score"][0] == pytest.approx(expected, abs=1e-12)


SQL = {"kind": "sql", "columns": [{"name": "a2", "tree": {"c": "a", "t": "double"}}]}


def test_a_graph_starts_behind_what_cannot_be_carried():
    before = [SQL, {**ASSEMBLE, "inputs": ["a2", "b", "c"]}]
    content = packed(FAMILIES["linear"][0], LINE, before=before)
    made = make_onnx(content, ROWS, start="numeric")
    assert (made.before, made.stages) == (["sql"], ["assemble", "regressor"])
    assert list(made.inputs) == ["a2", "b", "c"]
    with pytest.raises(NotPortableError, match="stage 1: a stage sql"):
        make_onnx(content, ROWS, start="inputs")


def glm(link, power=None):
    return regressor(family="glm", distribution="poisson", link=link, link_power=power, **CODES)


@pytest.mark.parametrize(
    ("learner", "arrays", "named"),
    [
        (glm("sqrt"), LINE, "link sqrt"),
        (glm(None, 0.5), LINE, "link power 0.5"),
        (
            classifier(family="factors", factors="f", **CODES),
            {**LINE, "f": np.ones((3, 2))},
            "classifier factors",
        ),
    ],
)
def test_a_family_without_counterpart_is_named(learner, arrays, named):
    with pytest.raises(NotPortableError, match=named):
        make_onnx(packed(learner, arrays), ROWS)


def test_stages_and_inputs_without_counterpart_are_named():
    impute = {
        "kind": "impute",
        "inputs": ["a"],
        "outputs": ["a"],
        "types": ["double"],
        "surrogates": ["1.0"],
        "missing": "-1.0",
    }
    learner = FAMILIES["linear"][0]
    with pytest.raises(NotPortableError, match="imputer of another value"):
        cut_of(model([impute, ASSEMBLE, learner]), "inputs")
    with pytest.raises(NotPortableError, match="'a' is of type string"):
        cut_of(model([ASSEMBLE, learner], signature=signature(kind="string")), "inputs")
    with pytest.raises(NotPortableError, match="a stage sql behind the learner"):
        cut_of({"stages": [ASSEMBLE, learner, SQL]}, "estimator")
    with pytest.raises(NotPortableError, match="a column named 'score'"):
        cut_of(model([{**learner, "input": "score"}]), "estimator")


def off_by(shift):
    def logistic(graph, tensor):
        return graph.op("Add", graph.op("Sigmoid", tensor), graph.constant(shift))

    return logistic


def test_a_score_that_differs_by_more_than_the_tolerance_stops_the_export(monkeypatch):
    content = packed(*FAMILIES["boosting"])
    monkeypatch.setattr(onnx_learners, "logistic", off_by(1e-10))
    assert make_onnx(content, ROWS).parity.max_abs_difference == pytest.approx(1e-10, rel=1e-3)
    monkeypatch.setattr(onnx_learners, "logistic", off_by(1e-8))
    with pytest.raises(NotPortableError, match=r"0 predictions and [1-9]\d* scores of \d+ rows"):
        make_onnx(content, ROWS)


def test_a_prediction_that_differs_stops_the_export(monkeypatch):
    content = packed(*FAMILIES["logistic"])
    monkeypatch.setattr(onnx_learners, "_raw_threshold", lambda _spec, _threshold: 0.4)
    with pytest.raises(NotPortableError, match=r"answers [1-9]\d* predictions and 0 scores"):
        make_onnx(content, ROWS)


def test_trees_that_test_in_single_precision_are_found_out(monkeypatch):
    """Rows at and beside each threshold are compared: a held-out row is seldom there."""
    arrays = {**ONE, "t.threshold": ONE["t.threshold"] + 1e-12}
    content = packed(FAMILIES["tree of numbers"][0], arrays)
    assert make_onnx(content, ROWS).parity.passed
    as_tensor = onnx_graph.as_tensor

    def rounded(array, name=""):
        single = array.astype(np.float32).astype(array.dtype) if array.dtype.kind == "f" else array
        return as_tensor(single, name)

    monkeypatch.setattr("crisp_spark.deployment.onnx_trees.as_tensor", rounded)
    with pytest.raises(NotPortableError, match="otherwise than the portable model"):
        make_onnx(content, ROWS)


@pytest.mark.parametrize("start", ["estimator", "inputs"])
@pytest.mark.parametrize("name", ["linear", "forest"])
def test_rows_that_the_model_refuses_are_no_comparison(name, start):
    content = packed(*FAMILIES[name])
    with pytest.raises(DataError, match="takes none of the rows"):
        make_onnx(content, [{"a": None, "b": None, "c": None}], start=start)


def test_without_the_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(onnx_graph, "find_spec", lambda name: name == "onnx" or None)
    with pytest.raises(EnvironmentFaultError, match="not installed: onnxruntime") as raised:
        make_onnx(packed(*FAMILIES["linear"]), ROWS)
    assert "crisp-spark[onnx]" in raised.value.hint


def test_the_command_writes_what_it_compared(tmp_path, capsys):
    bundle, rows, out = tmp_path / "m.crisp.zip", tmp_path / "rows.jsonl", tmp_path / "m.onnx"
    bundle.write_bytes(packed(*FAMILIES["forest"]))
    rows.write_text("\n".join(map(json.dumps, ROWS)))
    call = ["export", "onnx", "-o", str(out), "--bundle", str(bundle), "--rows", str(rows)]
    assert main([*call, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"] == {"features": 3}
    assert told["parity"]["rows"] == 51
    assert out.stat().st_size == told["bytes"]
    assert main(call) == 64  # never overwritten
    assert main([*call, "--start", "x"]) == 64


def test_rows_are_read_from_csv_and_parquet_too(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert rows_of_file(tmp_path / "rows.parquet", ["a", "c"]) == [
        {"a": row["a"], "c": row["c"]} for row in ROWS
    ]
    (tmp_path / "rows.csv").write_text("a,b\n1.5,\n")
    assert rows_of_file(tmp_path / "rows.csv", NAMES) == [{"a": "1.5", "b": ""}]
    with pytest.raises(DataError, match="cannot be read"):
        rows_of_file(tmp_path / "none.csv", NAMES)
