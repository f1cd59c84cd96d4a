"""Generated tables and suites, and the comparison of two validation results."""

from __future__ import annotations

import logging
import math
import warnings
from datetime import date

import great_expectations as gx
import great_expectations.expectations as gxe
from hypothesis import strategies as st

import crisp_spark.understanding.expectations.engine  # noqa: F401 - registers the data source

SCHEMA = (
    "i int, k long, x double, y double, s string, t string, `näme.x` string, d date, ok boolean"
)
NUMBERS, TEXTS, PLAIN = ["i", "k", "x", "y"], ["s", "t", "näme.x"], ["i", "k", "x", "s", "t", "d"]

_TEXT = st.sampled_from(["", "a", "b", "ab", "A1", "é", "日本", "a b", "x'y", "1.5"])
_FLOAT = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.25, 3.0, 1e12, math.nan, math.inf, -math.inf])
_CELLS = [
    st.integers(-3, 3),
    st.integers(0, 40),
    _FLOAT,
    _FLOAT,
    _TEXT,
    _TEXT,
    _TEXT,
    st.sampled_from([date(2024, 1, day) for day in (1, 2, 15)]),
    st.booleans(),
]
ROWS = st.one_of(
    st.just([]),
    st.lists(st.tuples(*[st.none()] * len(_CELLS)), min_size=1, max_size=3),
    st.lists(st.tuples(*[st.none() | cell for cell in _CELLS]), max_size=14),
)

_CONDITION = st.one_of(
    st.none(),
    st.none(),
    st.sampled_from(
        [
            {"row_condition": "i > 0", "condition_parser": "spark"},
            {"row_condition": "s is not null", "condition_parser": "spark"},
            {"row_condition": 'col("k") > 10', "condition_parser": "great_expectations"},
        ]
    ),
).map(lambda found: found or {})
_MOSTLY = st.sampled_from([1.0, 1.0, 0.5, 0.0])
_BOUNDS = st.tuples(
    st.none() | st.integers(-2, 1), st.none() | st.integers(1, 4), st.booleans(), st.booleans()
).map(lambda b: {"min_value": b[0], "max_value": b[1], "strict_min": b[2], "strict_max": b[3]})
_NUMBER, _WORD = st.sampled_from(NUMBERS), st.sampled_from(TEXTS)
_ANY = st.sampled_from([*NUMBERS, *TEXTS, "d", "ok", "missing"])
_WORDS = st.lists(_TEXT, min_size=1, max_size=3)


def _of(cls, **parts):
    return st.fixed_dictionaries(parts).map(
        lambda found: (
            cls,
            {
                name: value
                for key, own in found.items()
                for name, value in (own.items() if key.startswith("_") else [(key, own)])
            },
        )
    )


def _column_map(cls, column, **parts):
    return _of(cls, column=column, mostly=_MOSTLY, _condition=_CONDITION, **parts)


RULES = st.one_of(
    _column_map(gxe.ExpectColumnValuesToNotBeNull, _ANY),
    _column_map(gxe.ExpectColumnValuesToBeNull, _ANY),
    _column_map(gxe.ExpectColumnValuesToBeUnique, _ANY),
    _column_map(gxe.ExpectColumnValuesToBeBetween, _NUMBER, _bounds=_BOUNDS),
    _column_map(gxe.ExpectColumnValuesToBeInSet, _WORD, value_set=_WORDS),
    _column_map(gxe.ExpectColumnValuesToNotBeInSet, _WORD, value_set=_WORDS),
    _column_map(
        gxe.ExpectColumnValuesToBeInSet,
        _NUMBER,
        value_set=st.lists(st.integers(-2, 2), min_size=1, max_size=3),
    ),
    _column_map(
        gxe.ExpectColumnValuesToMatchRegex,
        _WORD,
        regex=st.sampled_from(["^a", "[0-9]", "^$", "日"]),
    ),
    _column_map(gxe.ExpectColumnValuesToNotMatchRegex, _WORD, regex=st.sampled_from(["b", "^é"])),
    _column_map(
        gxe.ExpectColumnValueLengthsToBeBetween, _WORD, min_value=st.just(1), max_value=st.just(2)
    ),
    _of(gxe.ExpectColumnMeanToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(gxe.ExpectColumnSumToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(gxe.ExpectColumnStdevToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(gxe.ExpectColumnMinToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(gxe.ExpectColumnMaxToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(gxe.ExpectColumnMedianToBeBetween, column=_NUMBER, _b=_BOUNDS, _condition=_CONDITION),
    _of(
        gxe.ExpectColumnQuantileValuesToBeBetween,
        column=_NUMBER,
        quantile_ranges=st.just(
            {
                "quantiles": [0.0, 0.1, 0.5, 1.0],
                "value_ranges": [[None, 0], [0, None], [-1, 1], [0, 4]],
            }
        ),
        _condition=_CONDITION,
    ),
    _of(
        gxe.ExpectColumnUniqueValueCountToBeBetween,
        column=_ANY,
        min_value=st.just(1),
        max_value=st.just(4),
        _condition=_CONDITION,
    ),
    _of(
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween,
        column=_ANY,
        min_value=st.just(0.5),
        _condition=_CONDITION,
    ),
    _of(gxe.ExpectColumnProportionOfNonNullValuesToBeBetween, column=_ANY, min_value=st.just(0.5)),
    _of(gxe.ExpectColumnDistinctValuesToBeInSet, column=_WORD, value_set=_WORDS),
    _of(gxe.ExpectColumnDistinctValuesToContainSet, column=_WORD, value_set=_WORDS),
    _of(gxe.ExpectColumnDistinctValuesToEqualSet, column=_WORD, value_set=_WORDS),
    _of(
        gxe.ExpectCompoundColumnsToBeUnique,
        column_list=st.lists(st.sampled_from(PLAIN), min_size=2, max_size=3, unique=True),
        ignore_row_if=st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"]),
        mostly=_MOSTLY,
        _condition=_CONDITION,
    ),
    _of(
        gxe.ExpectSelectColumnValuesToBeUniqueWithinRecord,
        column_list=st.just(["s", "t"]),
        ignore_row_if=st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"]),
        _condition=_CONDITION,
    ),
    _of(
        gxe.ExpectMulticolumnSumToEqual,
        column_list=st.just(["i", "k"]),
        sum_total=st.integers(0, 3),
        _condition=_CONDITION,
    ),
    _of(
        gxe.ExpectColumnPairValuesAToBeGreaterThanB,
        column_A=_NUMBER,
        column_B=_NUMBER,
        or_equal=st.booleans(),
        ignore_row_if=st.sampled_from(
            ["both_values_are_missing", "either_value_is_missing", "neither"]
        ),
        _condition=_CONDITION,
    ),
    _of(gxe.ExpectColumnPairValuesToBeEqual, column_A=st.just("s"), column_B=st.just("t")),
    _of(gxe.ExpectTableRowCountToBeBetween, min_value=st.just(1), max_value=st.just(9)),
    _of(gxe.ExpectTableColumnCountToEqual, value=st.sampled_from([8, 9])),
    _of(gxe.ExpectColumnValuesToBeOfType, column=_NUMBER, type_=st.just("IntegerType")),
    _of(
        gxe.UnexpectedRowsExpectation,
        unexpected_rows_query=st.just("SELECT * FROM {batch} WHERE i > k"),
    ),
)
SUITES = st.lists(RULES, min_size=1, max_size=10)


def build(rules):
    """Make expectations; those that the library itself refuses are left out."""
    made = []
    for number, (cls, kwargs) in enumerate(rules):
        try:
            made.append(cls(**kwargs, meta={"number": number}))
        except Exception as error:  # noqa: BLE001 - the library's own validation
            assert "validation error" in str(error), error  # noqa: PT017
    return made


class Engines:
    """Both engines in one context."""

    def __init__(self) -> None:
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        sources = self.context.data_sources
        self.stock = self._batches(sources.add_spark("stock"))
        self.own = self._batches(sources.add_crisp_spark("own"))

    @staticmethod
    def _batches(source):
        return source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")

    def judge(self, batches, df, expectations, result_format="BASIC"):
        suite = gx.ExpectationSuite(name="generated")
        for one in expectations:
            suite.expectations.append(one)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = batches.get_batch({"dataframe": df})
            found = batch.validate(suite, result_format=result_format)
        return {one.expectation_config.meta["number"]: one for one in found.results}

    def differences(self, df, rules, result_format="BASIC"):
        """Judge with both; return what differs, in words."""
        expectations = build(rules)
        theirs = self.judge(self.stock, df, expectations, result_format)
        ours = self.judge(self.own, df, expectations, result_format)
        return [
            f"{theirs[number].expectation_config.type} {theirs[number].expectation_config.kwargs}:"
            f"\n  stock {_told(theirs[number])}\n  ours  {_told(ours[number])}"
            for number in theirs
            if not same(_told(theirs[number]), _told(ours[number]))
        ]


def _told(result):
    raised = result.exception_info.get("raised_exception")
    return {
        "success": bool(result.success),
        "raised": raised is not False,
        "result": {
            name: sorted(map(repr, value)) if isinstance(value, list) and name in _LISTS else value
            for name, value in dict(result.result).items()
        },
    }


# Which failing values come first is not promised.
_LISTS = {
    "partial_unexpected_list",
    "partial_unexpected_counts",
    "unexpected_list",
    "unexpected_index_list",
    "partial_unexpected_index_list",
    "observed_value",
    "unexpected_rows",
}


def same(left, right):
    """Compare results: numbers up to the order in which they were added."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float | int) and isinstance(right, float | int):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
    return left == right
