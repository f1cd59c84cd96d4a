"""The benchmark's expectations in the words of other libraries.

Each peer says an expectation with what it offers for it: checks of its own or Spark SQL, never a
function written for the purpose. What it cannot say is named with the reason. Nulls pass everything
but not-null rules, as in Great Expectations; where a library sees that otherwise, its condition
says so. Peers are imported where they run: each lives in an environment of its own.
"""

from __future__ import annotations

# ruff: noqa: ARG002, C901, D102
import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

from peer_words import STATISTICS, Answer, CannotSayError, Peer, quantile_bounds, row_condition


class Cuallee(Peer):
    """cuallee: one observation for all rules about rows, one query for the others."""

    def say(self, number: int, kind: str, told: Mapping[str, Any]) -> Any:
        share = told.get("mostly", 1.0)
        where = told.get("where", "")
        condition = row_condition(kind, told)
        if share == 0:
            raise CannotSayError("a share of 0 is refused")
        if kind == "expect_column_values_to_not_be_null":
            if not where:
                return [("is_complete", (told["column"], share), {})]
            condition = f"NOT ({where}) OR {told['column']} IS NOT NULL"
        if condition is not None:
            named = {"options": {"name": f"rule {number}"}}
            column = told.get("column") or (told.get("column_list") or [told.get("column_A")])[0]
            return [("satisfies", (column, condition, share), named)]
        if kind == "expect_column_values_to_be_unique":
            return [("is_unique", (told["column"],), {})]
        if kind == "expect_compound_columns_to_be_unique":
            return [("are_unique", (told["column_list"],), {})]
        if kind == "expect_column_unique_value_count_to_be_between":
            if told["min_value"] == told["max_value"]:
                return [("has_cardinality", (told["column"], told["max_value"]), {})]
            raise CannotSayError("a number of distinct values only by equality")
        if kind == "expect_column_distinct_values_to_equal_set":
            within = row_condition("expect_column_values_to_be_in_set", told)
            named = {"options": {"name": f"rule {number}"}}
            return [
                ("satisfies", (told["column"], within, 1.0), named),
                ("has_cardinality", (told["column"], len(told["value_set"])), {}),
            ]
        if kind in STATISTICS or "quantile" in kind or "median" in kind:
            raise CannotSayError("statistics only by equality, not between bounds")
        raise CannotSayError("no check about the table itself")

    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        from cuallee import Check, CheckLevel

        check, owners = Check(CheckLevel.WARNING, "bench"), []
        for number in numbers:
            for method, arguments, options in self.sayable[number]:
                getattr(check, method)(*arguments, **options)
                owners.append(number)
                if check.sum != len(owners):  # rules of one key are one rule
                    raise ValueError(f"rule {number} is another one's equal")
        answers: dict[int, Answer] = {}
        for row in check.validate(df).collect():
            number = owners[row["id"] - 1]
            holds, failed = answers.get(number, (True, 0))
            counted = row["rule"] not in {"is_unique", "are_unique", "has_cardinality"}
            more = row["violations"] if counted and failed is not None else None
            answers[number] = (
                holds and row["status"] == "PASS",
                None if more is None or failed is None else failed + more,
            )
        return answers


class Pandera(Peer):
    """pandera: a schema, whose checks are asked for one by one; it counts no rows."""

    def say(self, number: int, kind: str, told: Mapping[str, Any]) -> Any:
        if told.get("where"):
            raise CannotSayError("no conditions on other columns")
        if told.get("mostly", 1.0) != 1:
            raise CannotSayError("no shares: one row decides")
        if kind == "expect_column_values_to_not_be_null":
            return ("not_null", told["column"], None)
        if kind == "expect_column_values_to_be_unique":
            return ("unique", [told["column"]], None)
        if kind == "expect_compound_columns_to_be_unique":
            return ("unique", list(told["column_list"]), None)
        if kind == "expect_table_column_count_to_equal":
            return ("strict", None, None)
        check = self._check(kind, told)
        if check is None:
            raise CannotSayError("it takes a function of one's own")
        return ("check", told["column"], check)

    @staticmethod
    def _check(kind: str, told: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]] | None:
        low, high = told.get("min_value"), told.get("max_value")
        if isinstance(high, str):
            high = dt.date.fromisoformat(high)
        if kind == "expect_column_values_to_be_between":
            return ("in_range", (low, high))
        if kind == "expect_column_max_to_be_between" and low is None:
            return ("less_than_or_equal_to", (high,))
        if kind == "expect_column_min_to_be_between" and high is None:
            return ("greater_than_or_equal_to", (low,))
        if kind == "expect_column_value_lengths_to_be_between":
            return ("str_length", (low, high))
        if kind == "expect_column_value_lengths_to_equal":
            return ("str_length", (told["value"], told["value"]))
        named = {
            "expect_column_values_to_be_in_set": ("isin", "value_set"),
            "expect_column_values_to_not_be_in_set": ("notin", "value_set"),
            "expect_column_values_to_match_regex": ("str_contains", "regex"),
            "expect_column_distinct_values_to_equal_set": ("unique_values_eq", "value_set"),
        }
        if kind not in named:
            return None
        method, key = named[kind]
        return (method, (told[key],))

    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        from pandera.pyspark import Check, Column, DataFrameSchema

        checks: dict[str, list[Any]] = {name: [] for name in df.columns}
        missing: dict[str, int] = {}
        unique: list[tuple[int, list[str]]] = []
        strict = None
        for number in numbers:
            part, place, check = self.sayable[number]
            if part == "not_null":
                missing[place] = number
            elif part == "unique":
                unique.append((number, place))
            elif part == "strict":
                strict = number
            else:
                method, arguments = check
                checks[place].append(getattr(Check, method)(*arguments, error=f"rule {number}"))
        columns = {
            name: Column(df.schema[name].dataType, own or None, nullable=name not in missing)
            for name, own in checks.items()
            if own or name in missing or strict is not None
        }
        found = _pandera_faults(DataFrameSchema(columns, strict=strict is not None).validate(df))
        broken = set()
        for fault in found:
            if fault["check"] == "not_nullable":
                broken.add(missing[fault["column"]])
            elif fault["check"] == "column_in_schema":
                broken.add(strict)
            elif str(fault["check"]).startswith("rule "):
                broken.add(int(str(fault["check"]).removeprefix("rule ")))
            else:
                raise ValueError(f"not a verdict: {fault}")
        for number, names in unique:
            # A schema knows one set of columns that is unique.
            if _pandera_faults(DataFrameSchema({}, unique=names).validate(df)):
                broken.add(number)
        return {number: (number not in broken, None) for number in numbers}


class PanderaCached(Pandera):
    """pandera with its setting that caches the frame before it is asked for."""

    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        from pandera.config import config_context

        with config_context(cache_dataframe=True):
            return super().judge(df, numbers)


def _pandera_faults(checked: Any) -> list[Mapping[str, Any]]:
    faults = []
    for by_reason in checked.pandera.errors.values():
        for reason, found in by_reason.items():
            if reason == "CHECK_ERROR":
                raise ValueError(f"a check could not be computed: {found}")
            faults += found
    return faults


class PyDeequ(Peer):
    """PyDeequ: analyzers that share a scan; assertions are called back in Python."""

    def say(self, number: int, kind: str, told: Mapping[str, Any]) -> Any:
        condition = row_condition(kind, told)
        share = told.get("mostly", 1.0)
        if kind == "expect_column_values_to_not_be_null":
            if not told.get("where"):
                return [("hasCompleteness", (told["column"],), lambda x: x >= share)]
            condition = f"NOT ({told['where']}) OR {told['column']} IS NOT NULL"
        if condition is not None:
            return [("satisfies", (condition, f"rule {number}"), lambda x: x >= share)]
        if kind == "expect_column_values_to_be_unique":
            return [("hasUniqueness", ([told["column"]],), lambda x: x == 1)]
        if kind == "expect_compound_columns_to_be_unique":
            return [("hasUniqueness", (list(told["column_list"]),), lambda x: x == 1)]
        if kind == "expect_column_distinct_values_to_equal_set":
            within = row_condition("expect_column_values_to_be_in_set", told)
            many = len(told["value_set"])
            return [
                ("satisfies", (within, f"rule {number}"), lambda x: x == 1),
                ("hasNumberOfDistinctValues", (told["column"],), lambda x: x == many),
            ]
        if "quantile" in kind or "median" in kind:
            self.loosely.add(number)
            return [
                ("hasApproxQuantile", (told["column"], at), _between(low, high))
                for at, low, high in quantile_bounds(kind, told)
            ]
        methods = {
            "expect_column_mean_to_be_between": "hasMean",
            "expect_column_stdev_to_be_between": "hasStandardDeviation",
            "expect_column_sum_to_be_between": "hasSum",
            "expect_column_unique_value_count_to_be_between": "hasNumberOfDistinctValues",
            "expect_table_row_count_to_be_between": "hasSize",
        }
        if kind not in methods:
            raise CannotSayError("no check of the number of columns")
        arguments = (told["column"],) if "column" in told else ()
        return [(methods[kind], arguments, _between(told.get("min_value"), told.get("max_value")))]

    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        from pydeequ.checks import Check, CheckLevel
        from pydeequ.verification import VerificationResult, VerificationSuite

        seen: dict[int, float] = {}

        def noting(at: int, holds: Callable[[float], bool]) -> Callable[[float], bool]:
            def assertion(value: float) -> bool:
                seen[at] = value
                return holds(value)

            return assertion

        # Its wrapper has no default for these.
        unbinned = {"binningUdf": self.spark._jvm.scala.Option.apply(None), "maxBins": 1000}  # noqa: SLF001
        check = Check(self.spark, CheckLevel.Warning, "bench")
        # Shares become numbers of rows; the size is read in the same scan.
        check.hasSize(noting(0, lambda _: True))
        owners = [(0, "hasSize")]
        for number in numbers:
            for method, arguments, holds in self.sayable[number]:
                more = unbinned if method == "hasNumberOfDistinctValues" else {}
                assertion = noting(len(owners), holds)
                getattr(check, method)(*arguments, assertion=assertion, **more)
                owners.append((number, method))
        result = VerificationSuite(self.spark).onData(df).addCheck(check).run()
        told = VerificationResult.checkResultsAsJson(self.spark, result)
        answers: dict[int, Answer] = {}
        for at, (one, (number, method)) in enumerate(zip(told, owners, strict=True)):
            if at not in seen:
                raise ValueError(f"not computed: {one}")
            counted = method in {"hasCompleteness", "satisfies", "hasUniqueness"}
            failed = round((1 - seen[at]) * seen[0]) if counted else None
            before, other = answers.get(number, (True, failed))
            answers[number] = (
                before and one["constraint_status"] == "Success",
                None if other is None else failed,
            )
        return answers

    def close(self) -> None:
        self.spark.sparkContext._gateway.shutdown_callback_server()  # noqa: SLF001


def _between(low: float | None, high: float | None) -> Callable[[float], bool]:
    return lambda x: (low is None or x >= low) and (high is None or x <= high)


class Soda(Peer):
    """soda-core on data frames: aggregations share a query, other checks have their own."""

    def say(self, number: int, kind: str, told: Mapping[str, Any]) -> Any:
        name, only = told.get("column", ""), told.get("where", "")
        details: dict[str, Any] = {"filter": only} if only else {}
        share = told.get("mostly", 1.0)
        if kind == "expect_column_values_to_not_be_null":
            if share == 1:
                return [(f"missing_count({name}) = 0", details)]
            return [(f"missing_percent({name}) <= {100 * (1 - share):.6g}", details)]
        if kind == "expect_column_values_to_be_unique":
            return [(f"duplicate_count({name}) = 0", details)]
        if kind == "expect_compound_columns_to_be_unique":
            return [(f"duplicate_count({', '.join(told['column_list'])}) = 0", details)]
        valid = self._valid(kind, told)
        if valid:
            return [(f"invalid_count({name}) = 0", details | valid)]
        condition = row_condition(kind, told)
        if condition is not None:
            if share != 1:
                raise CannotSayError("failed rows know no share")
            return [("failed rows", {"fail condition": f"NOT ({condition})"})]
        if kind == "expect_table_row_count_to_be_between":
            return [(f"row_count {_threshold(told)}", {})]
        return self._expressions(number, kind, told)

    @staticmethod
    def _valid(kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
        low, high = told.get("min_value"), told.get("max_value")
        if kind == "expect_column_values_to_be_in_set":
            return {"valid values": list(told["value_set"])}
        if kind == "expect_column_values_to_not_be_in_set":
            return {"invalid values": list(told["value_set"])}
        if kind == "expect_column_values_to_match_regex":
            return {"valid regex": told["regex"]}
        if kind == "expect_column_value_lengths_to_equal":
            return {"valid length": told["value"]}
        if kind == "expect_column_value_lengths_to_be_between":
            return {"valid min length": low, "valid max length": high}
        if kind == "expect_column_values_to_be_between":
            return {"valid min": low, "valid max": high}
        return {}

    @staticmethod
    def _expressions(number: int, kind: str, told: Mapping[str, Any]) -> Any:
        name = told.get("column", "")
        distinct = f"count(distinct {name})"
        asked = []
        if kind in STATISTICS:
            asked.append((f"{STATISTICS[kind]}({name})", _threshold(told)))
        elif kind == "expect_column_unique_value_count_to_be_between":
            asked.append((distinct, _threshold(told)))
        elif kind == "expect_column_distinct_values_to_equal_set":
            asked.append((distinct, f"= {len(told['value_set'])}"))
        elif "quantile" in kind or "median" in kind:
            asked += [
                (f"percentile({name}, {at})", f"between {low} and {high}")
                for at, low, high in quantile_bounds(kind, told)
            ]
        else:
            raise CannotSayError("no check of the number of columns")
        checks: list[tuple[str, dict[str, Any]]] = [
            (f"rule_{number}_{at} {wanted}", {f"rule_{number}_{at} expression": expression})
            for at, (expression, wanted) in enumerate(asked)
        ]
        if kind == "expect_column_distinct_values_to_equal_set":
            checks.append((f"invalid_count({name}) = 0", {"valid values": list(told["value_set"])}))
        return checks

    def judge(self, df: Any, numbers: list[int]) -> dict[int, Answer]:
        from soda.scan import Scan

        df.createOrReplaceTempView("bench")
        checks = []
        for number in numbers:
            for text, details in self.sayable[number]:
                checks.append({text: details | {"name": f"rule {number}"}})
        scan = Scan()
        scan.set_data_source_name("spark_df")
        scan.add_spark_session(self.spark, data_source_name="spark_df")
        scan.add_sodacl_yaml_str(json.dumps({"checks for bench": checks}))  # JSON is YAML
        scan.execute()
        if scan.has_error_logs():
            raise ValueError(scan.get_error_logs_text())
        answers: dict[int, Answer] = {}
        for one in scan.get_scan_results()["checks"]:
            number = int(one["name"].removeprefix("rule "))
            text = self.sayable[number][0][0]
            value = one["diagnostics"].get("value")
            counted = text.startswith(("missing_count", "invalid_count", "failed rows"))
            holds, _ = answers.get(number, (True, None))
            answers[number] = (
                holds and one["outcome"] == "pass",
                int(value) if counted and value is not None else None,
            )
        return answers


def _threshold(told: Mapping[str, Any]) -> str:
    low, high = told.get("min_value"), told.get("max_value")
    if low is None or high is None:
        return f">= {low}" if high is None else f"<= {high}"
    return f"= {low}" if low == high else f"between {low} and {high}"


PEERS: dict[str, type[Peer]] = {
    "cuallee": Cuallee,
    "pandera": Pandera,
    "pandera-cached": PanderaCached,
    "pydeequ": PyDeequ,
    "soda": Soda,
}
