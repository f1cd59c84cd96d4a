"""One part of `quality_peers.py`, run in an environment of its own.

peer_run.py make FOLDER --rows N                write the table and the expectations
peer_run.py judge FOLDER --peer NAME ...        measure a peer and this project, in turns
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from measuring import cpu_seconds

CONF = {"spark.driver.memory": "6g", "spark.sql.shuffle.partitions": "4"}
SMALL = 20_000
WAYS = ("ours", "ours_counts", "local")
"""This project on Spark, the same without examples of failing values, and with DuckDB."""


def make(folder: Path, rows: int) -> None:
    """Write the table of `quality.py`, a small one, and its expectations with our own rules."""
    import quality
    from great_expectations.expectations import Expectation

    from crisp_spark.engine.session import build_session

    spark = build_session("bench", master="local[2]", conf=CONF)
    spark.sparkContext.setLogLevel("ERROR")
    columns = quality.generate(spark, rows, str(folder / "table")).columns
    quality.generate(spark, SMALL, str(folder / "small"))
    spark.stop()
    expectations: list[Expectation] = quality.rules()
    told = [one.configuration.to_json_dict() for one in expectations]
    (folder / "expectations.json").write_text(json.dumps([described(one, columns) for one in told]))


def described(expectation: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    """An expectation, its condition as plain SQL, and the rules of ours that say the same."""
    from crisp_spark.understanding.expectations.importing import import_suite

    # The library makes 49.0 of 49, which is slower to compare with whole numbers.
    told = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in expectation["kwargs"].items()
    }
    kind = expectation["type"]
    found = import_suite({"expectations": [{**expectation, "kwargs": told}]})
    own = [(name, rule) for name, rules in found.columns.items() for rule in rules]
    own += [("", rule) for rule in found.rules]
    # What is no rule by itself, or is one only for a table with gaps.
    if not own and kind == "expect_compound_columns_to_be_unique":
        own = [("", {"kind": "unique", "columns": told["column_list"]})]
    elif not own and ("quantile" in kind or "median" in kind):
        from peer_words import quantile_bounds

        own = [
            (told["column"], {"kind": "quantile_between", "quantile": at, "min": low, "max": high})
            for at, low, high in quantile_bounds(kind, told)
        ]
    elif not own and kind == "expect_column_distinct_values_to_equal_set":
        values = told["value_set"]
        own = [
            (told["column"], {"kind": "accepted_values", "values": values}),
            (
                told["column"],
                {"kind": "distinct_count_between", "min": len(values), "max": len(values)},
            ),
        ]
    elif not own and kind == "expect_table_column_count_to_equal":
        own = [("", {"kind": "schema", "columns": columns, "exact": True})]
    condition = told.pop("row_condition", None)
    if condition:
        told["where"] = (
            condition["pass_through_filter"] if isinstance(condition, dict) else condition
        )
    reason = "" if own else (found.left_out or ["no rule"])[0]
    return {"type": kind, "kwargs": told, "ours": own, "reason": reason}


def bound_rules(expectations: Mapping[int, Mapping[str, Any]]) -> tuple[Any, dict[str, int]]:
    """Our rules of the numbered expectations, and which one each belongs to."""
    from pydantic import TypeAdapter

    from crisp_spark.spec.quality import RuleSpec, bind_rules

    valid: Callable[[Any], Any] = TypeAdapter(RuleSpec).validate_python
    columns: dict[str, list[Any]] = {}
    rules, owners = [], {}
    for number, one in expectations.items():
        for at, (column, rule) in enumerate(one["ours"]):
            name = f"rule {number} {at}"
            owners[name] = number
            place = columns.setdefault(column, []) if column else rules
            place.append(valid({**rule, "name": name}))
    return bind_rules("t", columns, rules), owners


def answered(results: Any, owners: Mapping[str, int]) -> dict[int, Any]:
    """Verdict and failing rows of each expectation; the rows of the last part that counts some."""
    answers: dict[int, Any] = {}
    for one in results:
        number = owners[one.name]
        holds, failed = answers.get(number, (True, None))
        answers[number] = (holds and one.holds, one.failed if failed is None else failed)
    return answers


def differences(theirs: Mapping[int, Any], mine: Mapping[int, Any]) -> list[str]:
    """Verdicts, and counts where both count rows."""
    found = []
    for number, (holds, failed) in mine.items():
        same = theirs[number][0] == holds
        if None not in (failed, theirs[number][1]):
            same &= failed == theirs[number][1]
        if not same:
            found.append(f"{number}: {theirs[number]} and {(holds, failed)}")
    return found


class Turns:
    """The peer and this project on one table, in turns."""

    def __init__(
        self, spark: Any, peer: Any, numbers: list[int], expectations: Mapping[int, Any]
    ) -> None:
        self.spark, self.peer, self.numbers = spark, peer, numbers
        self.bound, self.owners = bound_rules({number: expectations[number] for number in numbers})
        self.spent: dict[str, list[tuple[float, float, int]]] = {}

    def judge(self, way: str, df: Any) -> dict[int, Any]:
        """Judge a table one way."""
        from crisp_spark.understanding.local import judge_files, table_of
        from crisp_spark.understanding.quality import evaluate_rules

        if way == "local":
            table = table_of(df)
            if table is None:
                raise ValueError("the table's files are not on this machine")
            found = judge_files(table, self.bound)
            if found.left_out:
                raise ValueError(f"left to Spark: {found.left_out}")
            return answered(found.results.values(), self.owners)
        if way == "ours":
            return answered(evaluate_rules(df, self.bound).rules, self.owners)
        if way == "ours_counts":
            return answered(evaluate_rules(df, self.bound, sample_values=0).rules, self.owners)
        return self.peer.judge(df, self.numbers)  # type: ignore[no-any-return]

    def measure(self, way: str, df: Any) -> dict[int, Any]:
        """Judge one way and note what it took."""
        scheduler = self.spark.sparkContext._jsc.sc().dagScheduler()  # noqa: SLF001
        jobs, cpu, begun = scheduler.numTotalJobs(), cpu_seconds(), time.perf_counter()
        answers = self.judge(way, df)
        spent = (
            time.perf_counter() - begun,
            cpu_seconds() - cpu,
            scheduler.numTotalJobs() - jobs,
        )
        self.spark.catalog.clearCache()
        self.spent.setdefault(way, []).append(spent)
        print(
            f"  {way:<12} {spent[0]:7.2f} s {spent[1]:7.2f} cpu-s {spent[2]:4d} jobs"
            f"   load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return answers

    def median(self, way: str, part: int) -> float:
        """Of wall seconds (0), CPU seconds (1) or jobs (2)."""
        return statistics.median(one[part] for one in self.spent[way])


def judge(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a peer and this project on what both can say."""
    from peer_checks import PEERS

    from crisp_spark.engine.session import build_session

    begun = time.perf_counter()
    jars = {"spark.jars": options.jar} if options.jar else {}
    spark = build_session("bench", master="local[2]", conf=CONF | jars)
    spark.sparkContext.setLogLevel("ERROR")
    listed = json.loads((folder / "expectations.json").read_text())
    expectations = dict(enumerate(listed, start=1))
    peer = PEERS[options.peer](
        spark, {number: (one["type"], one["kwargs"]) for number, one in expectations.items()}
    )
    try:
        return compared(spark, peer, folder, expectations, options, begun)
    finally:
        peer.close()
        spark.stop()


def compared(
    spark: Any,
    peer: Any,
    folder: Path,
    expectations: Mapping[int, Mapping[str, Any]],
    options: argparse.Namespace,
    begun: float,
) -> dict[str, Any]:
    """Judge the table in turns until time or repeats are used up."""
    numbers = [number for number in peer.sayable if expectations[number]["ours"]]
    for number, one in expectations.items():
        reason = peer.cannot.get(number) or (
            not one["ours"] and f"not a rule of ours: {one['reason']}"
        )
        if reason:
            print(f"  left out: {number} {one['type']}: {reason}")
    turns = Turns(spark, peer, numbers, expectations)
    table, small = (spark.read.parquet(str(folder / name)) for name in ("table", "small"))
    ways = [options.peer, *WAYS]
    for way in ways:
        turns.judge(way, small)
        spark.catalog.clearCache()
    print(
        f"  warm after {time.perf_counter() - begun:.0f} s; Spark {spark.version}, Python"
        f" {platform.python_version()}, {len(numbers)} of {len(expectations)} rules",
        flush=True,
    )
    apart: dict[str, list[str]] = {}
    longest = 0.0
    for turn in range(options.repeats):
        before = time.perf_counter()
        if turn and before - begun + longest > options.seconds:
            break
        answers = {way: turns.measure(way, table) for way in ways[:: -1 if turn % 2 else 1]}
        for way in WAYS:
            for fault in differences(answers[options.peer], answers[way]):
                if fault not in apart.setdefault(way, []):
                    apart[way].append(fault)
        longest = max(longest, time.perf_counter() - before)
    return {
        "spark": spark.version,
        "rules_covered": len(numbers),
        "rules_peer_can_say": len(peer.sayable),
        "rules": len(expectations),
        "approximate": sorted(peer.loosely & set(numbers)),
        "turns": len(turns.spent["ours"]),
        **{
            way if way != options.peer else "peer": {
                "wall_s": round(turns.median(way, 0), 2),
                "cpu_s": round(turns.median(way, 1), 2),
                "jobs": int(turns.median(way, 2)),
            }
            for way in ways
        },
        **{
            f"{name}_vs_{way}": round(turns.median(options.peer, part) / turns.median(way, part), 2)
            for way in WAYS
            for name, part in (("wall", 0), ("cpu", 1))
        },
        "failing": sorted(n for n, (holds, _) in answers["ours"].items() if not holds),
        "counts_compared": sum(
            None not in (answers["ours"][n][1], answers[options.peer][n][1]) for n in numbers
        ),
        "verdicts_equal": int(not any(apart.values())),
        "differences": {way: faults for way, faults in apart.items() if faults},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "judge"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=SMALL)
    parser.add_argument("--peer", default="")
    parser.add_argument("--jar", default="")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.what == "make":
        make(options.folder, options.rows)
        return
    found = judge(options.folder, options)
    print("  " + ", ".join(f"{name} {metadata.version(name)}" for name in ("pyspark", "duckdb")))
    (options.folder / f"{options.peer}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
