"""What the peers of `peer_checks.py` share: expectations as Spark SQL, and what a peer is."""

from __future__ import annotations

# ruff: noqa: E501
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

Answer = tuple[bool, int | None]
"""Whether a rule holds, and how many rows fail it (None: the library does not say)."""


class CannotSayError(Exception):
    """A library has no words for an expectation."""


def row_condition(kind: str, told: Mapping[str, Any]) -> str | None:
    """What a good row fulfils, in Spark SQL; None where the expectation is not about rows."""
    name = told.get("column", "")
    if kind == "expect_column_max_to_be_between" and told.get("min_value") is None:
        condition = f"{name} <= {_literal(told['max_value'])}"
    elif kind == "expect_column_min_to_be_between" and told.get("max_value") is None:
        condition = f"{name} >= {_literal(told['min_value'])}"
    elif kind in _ROW_CONDITIONS:
        condition = _ROW_CONDITIONS[kind](name, told)
    else:
        return None
    # Columns of pairs and sums have no gaps here.
    known = f"{name} IS NULL OR {condition}" if name else condition
    return f"NOT ({told['where']}) OR {known}" if told.get("where") else known


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def _within(expression: str, told: Mapping[str, Any]) -> str:
    ends = ((told.get("min_value"), ">="), (told.get("max_value"), "<="))
    return " AND ".join(
        f"{expression} {sign} {_literal(end)}" for end, sign in ends if end is not None
    )


def _one_of(told: Mapping[str, Any]) -> str:
    return ", ".join(map(_literal, told["value_set"]))


_ROW_CONDITIONS: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "expect_column_values_to_be_in_set": lambda name, k: f"{name} IN ({_one_of(k)})",
    "expect_column_values_to_not_be_in_set": lambda name, k: f"{name} NOT IN ({_one_of(k)})",
    "expect_column_values_to_be_between": lambda name, k: f"({_within(name, k)})",
    "expect_column_values_to_match_regex": lambda name, k: f"{name} RLIKE {_literal(k['regex'])}",
    "expect_column_value_lengths_to_be_between": lambda name, k: f"({_within(f'length({name})', k)})",
    "expect_column_value_lengths_to_equal": lambda name, k: f"length({name}) = {k['value']}",
    "expect_column_pair_values_a_to_be_greater_than_b": lambda _, k: f"{k['column_A']} > {k['column_B']}",
    "expect_multicolumn_sum_to_equal": lambda _, k: f"{' + '.join(k['column_list'])} = {k['sum_total']}",
}  # fmt: skip

STATISTICS = {
    "expect_column_mean_to_be_between": "avg",
    "expect_column_stdev_to_be_between": "stddev_samp",
    "expect_column_sum_to_be_between": "sum",
}


def quantile_bounds(kind: str, told: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Quantile, lower and upper bound of each range that an expectation names."""
    if kind == "expect_column_median_to_be_between":
        return [(0.5, told["min_value"], told["max_value"])]
    ranges = told["quantile_ranges"]
    return [
        (at, *ends) for at, ends in zip(ranges["quantiles"], ranges["value_ranges"], strict=True)
    ]


class Peer(ABC):
    """A library that judges rules on Spark.

    Attributes:
        sayable: Number of an expectation to what the library makes of it.
        cannot: Number of an expectation to why the library has no words for it.
        loosely: Expectations that the library answers approximately.
    """

    def __init__(
        self, spark: Any, expectations: Mapping[int, tuple[str, Mapping[str, Any]]]
    ) -> None:
        self.spark = spark
        self.sayable: dict[int, Any] = {}
        self.cannot: dict[int, str] = {}
        self.loosely: set[int] = set()
        for number, (kind, told) in expectations.items():
            try:
                self.sayable[number] = self.say(number, kind, told)
            except CannotSayError as error:
                self.cannot[number] = str(error)

    @abstractmethod
    def say(self, number: int, kind: str, told: Mapping[str, Any]) -> Any:
        """Return what stands for an expectation.

        Raises:
            CannotSayError: The library has no words for it.
        """

    @abstractmethod
    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        """Judge the numbered expectations together, as the library's users do."""

    def close(self) -> None:  # noqa: B027
        """Give back what would keep the process from ending; most hold nothing."""
