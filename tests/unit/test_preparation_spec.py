from __future__ import annotations

import pytest
from pydantic import ValidationError

from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.data import DataSpec
from crisp_spark.spec.deriving import in_dependency_order
from crisp_spark.spec.lineage import (
    derivations,
    excluded_columns,
    outcome_columns,
    row_local_expressions,
)
from crisp_spark.spec.preparation import PreparationSpec
from crisp_spark.spec.sqltext import literal, names_in

GOAL = MiningGoal(problem="binary", target="late", target_expression="delay >= 15", positive=True)


def spec(**parts):
    return PreparationSpec.model_validate(parts)


def cleaning(*ops):
    return spec(clean={"s": list(ops)}).clean["s"]


def merging(**step):
    return spec(merge={"steps": [{"id": "m", "left": "a", "right": "b", **step}]}).merge.steps[0]


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ({"op": "impute", "columns": ["a"], "method": "mean"}, "preparation.features"),
        ({"op": "outliers", "columns": ["a"], "method": "iqr"}, "preparation.features"),
        ({"op": "scale", "columns": ["a"]}, "training rows only"),
        ({"op": "fill", "columns": ["a"], "method": "median"}, "preparation.features"),
        ({"op": "clip", "columns": ["a"], "method": "iqr"}, "preparation.features"),
    ],
)
def test_what_learns_from_data_is_refused_in_cleaning(op, message):
    with pytest.raises(ValidationError, match=message) as caught:
        cleaning(op)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ({"op": "select", "keep": ["a"]}, "reason"),
        ({"op": "select", "keep": ["a"], "exclude": ["b"], "reason": "r"}, "exactly one"),
        ({"op": "filter", "expression": "a > 1"}, "reason"),
        ({"op": "deduplicate", "survivor": "last"}, "needs order_by"),
        ({"op": "fill", "columns": ["a"]}, "exactly one of value"),
        ({"op": "fill", "value": 1}, "columns is missing"),
        ({"op": "fill", "columns": ["a"], "values": {"a": 1}}, "names its own columns"),
        ({"op": "clip", "columns": ["a"]}, "min, max or both"),
        ({"op": "clip", "columns": ["a"], "min": 3, "max": 1}, "larger than max"),
        ({"op": "bin", "columns": ["a"], "edges": [3, 1]}, "must rise"),
        ({"op": "bin", "columns": ["a"], "edges": [1, 3], "labels": ["x"]}, "need 3 labels"),
        ({"op": "python", "python": "no function"}, "pattern"),
        ({"op": "wash"}, "wash"),
        ({"columns": ["a"]}, "discriminator"),
    ],
)
def test_faulty_cleaning_is_refused(op, message):
    with pytest.raises(ValidationError, match=message):
        cleaning(op)


def test_keys_of_a_map_are_texts_whatever_yaml_made_of_them():
    (op,) = cleaning({"op": "map", "columns": ["a"], "values": {2: "x", True: "y", "z": None}})
    assert op.values == {"2": "x", "true": "y", "z": None}


def test_a_hook_needs_no_op():
    assert cleaning({"python": "mine:f"})[0].op == "python"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"how": "right", "keys": ["k"]}, "swap left and right"),
        ({}, "needs keys"),
        ({"how": "cross", "keys": ["k"]}, "takes no keys"),
        ({"how": "asof", "keys": ["k"]}, "go together"),
        ({"right": None, "keys": ["k"]}, "right is missing"),
        ({"keys": ["k"], "inputs": ["c"]}, "for a union"),
        ({"how": "inner", "keys": ["k"], "reclean": [{"op": "fill", "columns": ["x"], "value": 1}]},
         "introduces no nulls"),
        ({"keys": ["k"], "reclean": [{"op": "deduplicate"}]}, "reclean cannot 'deduplicate'"),
    ],
)  # fmt: skip
def test_faulty_merges_are_refused(step, message):
    with pytest.raises(ValidationError, match=message):
        merging(**step)


def test_merge_defaults():
    step = merging(keys=["k", "j"], columns=["x"])
    assert step.keys == {"k": "k", "j": "j"}
    assert step.columns == {"x": "x"}
    assert step.cardinality == "many_to_one"
    assert merging(how="full", keys={"k": "id"}).how == "outer"
    assert merging(how="semi", keys=["k"]).cardinality == "any"


def test_steps_read_only_what_exists():
    steps = [
        {"id": "one", "left": "two", "right": "b", "keys": ["k"]},
        {"id": "two", "left": "a", "right": "b", "keys": ["k"]},
    ]
    with pytest.raises(ValidationError, match="reads two before it exists"):
        spec(merge={"steps": steps})
    with pytest.raises(ValidationError, match="one more than once"):
        spec(merge={"steps": [{**steps[1], "id": "one"}] * 2})


def test_output_of_a_merge():
    merge = spec().merge
    assert merge.output(["a"]) == "a"
    assert merge.output(["a", "b"], "b") == "b"
    with pytest.raises(ValueError, match="say output_of"):
        merge.output(["a", "b"])
    with pytest.raises(ValueError, match="no source or step 'c'"):
        spec(merge={"output_of": "c"}).merge.output(["a"])


def test_derivations_follow_their_use():
    derive = [
        {"name": "c", "expression": "b + 1"},
        {"name": "b", "expression": "`a x` * 2"},
        {"name": "a x", "expression": "raw"},
    ]
    ordered = in_dependency_order(spec(derive=derive).derive)
    assert [op.names[0] for op in ordered] == ["a x", "b", "c"]


def test_circles_and_doubles_are_named():
    with pytest.raises(ValidationError, match="in a circle: a, b"):
        spec(derive=[{"name": "a", "expression": "b"}, {"name": "b", "expression": "a"}])
    with pytest.raises(ValidationError, match="more than one column named 'a'"):
        spec(derive=[{"name": "a", "expression": "1"}, {"name": "A", "expression": "2"}])
    with pytest.raises(ValueError, match="derived twice"):
        derivations(spec(derive=[{"name": "late", "expression": "1"}]), GOAL)
    with pytest.raises(ValidationError, match="_crisp_"):
        spec(derive=[{"name": "_crisp_x", "expression": "1"}])


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"function": "mean"}, "needs a column"),
        ({"function": "count", "column": "x"}, "takes no column"),
        ({"function": "frequency"}, "needs over"),
        ({"function": "mean", "column": "x", "offset": 2}, "offset is for a lag"),
    ],
)
def test_faulty_windows_are_refused(window, message):
    with pytest.raises(ValidationError, match=message):
        spec(derive=[{"op": "window", "name": "w", "order_by": "t", **window}])


@pytest.mark.parametrize(
    ("split", "message"),
    [({"kind": "group"}, "needs group"), ({"kind": "time"}, "needs time"), ({"folds": 1}, "folds")],
)
def test_faulty_splits_are_refused(split, message):
    with pytest.raises(ValidationError, match=message):
        spec(split=split)


def test_sql_of_typed_derivations():
    made = spec(
        derive=[
            {"op": "cyclic", "column": "h", "period": 24},
            {"op": "ratio", "name": "r", "numerator": "a b", "denominator": "c"},
            {
                "op": "bin",
                "name": "g",
                "column": "x",
                "edges": [1, 2],
                "labels": ["it's", "m", "h"],
            },
            {"op": "interaction", "name": "i", "columns": ["a", "b"], "kind": "concat"},
            {"op": "date_parts", "column": "t", "parts": ["is_weekend"]},
        ]
    )
    sql = dict(row_local_expressions(made, MiningGoal(problem="clustering")))
    assert sql == {
        "h_sin": "sin(2 * pi() * CAST(`h` AS DOUBLE) / 24.0D)",
        "h_cos": "cos(2 * pi() * CAST(`h` AS DOUBLE) / 24.0D)",
        "r": "CAST(`a b` AS DOUBLE) / nullif(CAST(`c` AS DOUBLE), 0D)",
        "g": "CASE WHEN `x` IS NULL THEN NULL WHEN `x` < 1.0D THEN 'it\\'s' "
        "WHEN `x` < 2.0D THEN 'm' ELSE 'h' END",
        "i": "concat(CAST(`a` AS STRING), '_', CAST(`b` AS STRING))",
        "t_is_weekend": "CAST(weekday(`t`) >= 5 AS INT)",
    }


def test_literals_and_names():
    assert [literal(v) for v in (None, True, 3, 2**40, 1.5, "a\\'b")] == [
        "NULL",
        "true",
        "3",
        f"{2**40}L",
        "1.5D",
        "'a\\\\\\'b'",
    ]
    assert names_in("hour(`t.x`) + Ab -- c\n + 'd' + e.f") == {"t.x", "ab", "e", "f"}


DATA = DataSpec.model_validate(
    {
        "sources": {
            "flights": {
                "kind": "csv",
                "path": "f.csv",
                "columns": {"delay": {"type": "int", "known_at": "outcome"}, "day": "date"},
            },
            "repairs": {
                "kind": "csv",
                "path": "r.csv",
                "columns": {"id": "int", "cost": {"type": "double", "known_at": "outcome"}},
            },
        }
    }
)


def test_what_is_known_too_late_is_followed_under_all_its_names():
    made = spec(
        clean={"flights": [{"op": "flag_missing", "columns": ["delay"]}]},
        merge={
            "steps": [
                {"id": "all", "left": "flights", "right": "repairs", "keys": ["id"], "prefix": "r_"}
            ]
        },
        derive=[
            {"name": "twice", "expression": "r_cost * 2"},
            {"name": "four", "expression": "twice * 2"},
            {"name": "fine", "expression": "day"},
            {"op": "window", "name": "past", "function": "mean", "column": "delay",
             "order_by": "day", "known_after": "1 day"},
            {"op": "window", "name": "peek", "function": "mean", "column": "delay",
             "order_by": "day"},
        ],
        exclude={"day": "policy"},
    )  # fmt: skip
    late = outcome_columns(DATA, made, GOAL)
    assert late == {
        "delay": "flights.delay is known only with the outcome",
        "delay_missing": "it uses delay",
        "r_cost": "repairs.cost is known only with the outcome",
        "late": "it is the target",
        "twice": "it uses r_cost",
        "four": "it uses twice",
        "peek": "it uses delay",
    }
    assert excluded_columns(DATA, made, GOAL)["day"] == "policy"


def test_the_target_is_no_part_of_the_deployed_expressions():
    made = spec(
        derive=[{"name": "x", "expression": "a"}, {"name": "y", "expression": "late AND x"}]
    )
    assert row_local_expressions(made, GOAL) == [("x", "(a)")]


def test_columns_left_out_while_cleaning_or_merging_are_late_no_more():
    made = spec(
        clean={"flights": [{"op": "select", "exclude": ["delay"], "reason": "r"}]},
        merge={
            "steps": [
                {
                    "id": "all",
                    "left": "flights",
                    "right": "repairs",
                    "keys": ["id"],
                    "columns": {"cost": "price"},
                }
            ]
        },
    )
    assert set(outcome_columns(DATA, made, GOAL)) == {"price", "late"}
