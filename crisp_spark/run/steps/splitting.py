"""Wires the step that divides rows, and puts together the proof that nothing leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import DataError
from crisp_spark.results.base import Verdict
from crisp_spark.results.split import PartSummary, SplitCheck, SplitResult
from crisp_spark.run.steprun import Note, Outcome, StepRun

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.preparation.split import SplitRule

_SHARE_TOLERANCE = 0.05


def split(run: StepRun) -> Outcome:
    """Divide the derived rows and prove it on what was written."""
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    from crisp_spark.preparation.split import (
        FOLD,
        PART,
        canonical,
        part_sizes,
        shared_units,
        split_rule,
        with_parts,
    )

    goal, spec = run.spec.business.mining_goal, run.spec.preparation.split
    source = run.spec.data.sources.get(goal.target_source or "")
    rule = split_rule(
        spec,
        goal,
        seed=run.spec.project.seed,
        source_time=(source.time or None) if source else None,
    )
    divided = with_parts(run.read("derived"), rule)
    partitions = run.spec.project.partitions_of(run.rows("derived"))
    written: dict[str, int] = {}
    for part in ("train", "test", *(["later"] if spec.later else [])):
        rows = divided.filter(F.col(PART) == part).drop(PART)
        rows = rows if part == "train" else rows.drop(FOLD)
        laid_out = canonical(rows, rule.unit, partitions)
        written[part] = run.write(part, laid_out).rows
    _refuse_empty(written, run.rows("derived"))

    def reread(part: str) -> DataFrame:
        table = run.reread(part).withColumn(PART, F.lit(part))
        return table if part == "train" else table.withColumn(FOLD, F.lit(None).cast("int"))

    parts = reduce(DataFrame.unionByName, [reread(part) for part in written])
    classes = goal.problem in {"binary", "multiclass"}
    sizes = [
        row.asDict() for row in part_sizes(parts, rule, goal.target, classes=classes).collect()
    ]
    shared = shared_units(parts, rule).collect()[0].asDict()
    result = _result(run, rule, written, sizes, shared)
    notes = [Note(f"{part.name} {part.rows:,} rows") for part in result.parts]
    failed = [check for check in result.checks if check.verdict is Verdict.FAIL]
    if failed:
        raise DataError(
            "split: " + "; ".join(f"{check.statement}, got {check.value}" for check in failed),
            hint="give the split a key or a group that says which rows belong together",
        )
    return Outcome(result, notes, {f"rows_{name}": float(rows) for name, rows in written.items()})


def _refuse_empty(written: Mapping[str, int], rows_in: int) -> None:
    for part in ("train", "test"):
        if not written[part]:
            raise DataError(
                f"split: no {part} rows, got {rows_in} derived rows",
                hint="check population, later.from and the share of test rows; a hash split needs "
                "a key with more than a few values",
            )


def _result(
    run: StepRun,
    rule: SplitRule,
    written: Mapping[str, int],
    sizes: Sequence[Mapping[str, Any]],
    shared: Mapping[str, int],
) -> SplitResult:
    total = run.rows("derived")
    parts = [
        _summary(name, [size for size in sizes if size["part"] == name], rows, total)
        for name, rows in written.items()
    ]
    train = [size for size in sizes if size["part"] == "train"]
    numbers = sorted({size["fold"] for size in train})
    folds = [
        _summary(f"fold {number}", fold, sum(size["rows"] for size in fold), written["train"])
        for number in numbers
        if (fold := [size for size in train if size["fold"] == number])
    ]
    spec = rule.spec
    return SplitResult(
        kind=spec.kind,
        seed=rule.seed,
        key=list(rule.unit) if spec.kind != "group" else list(spec.key),
        group=list(spec.group),
        time=rule.later_time or rule.time,
        test_share=spec.test,
        later_from=spec.later.start if spec.later else None,
        boundaries=[part.time_from for part in folds[1:] + parts[1:2] if part.time_from]
        if spec.kind == "time"
        else [],
        rows_in=total,
        parts=parts,
        folds=folds,
        checks=_checks(rule, parts, folds, total, shared),
    )


def _summary(name: str, sizes: Sequence[Mapping[str, Any]], rows: int, total: int) -> PartSummary:
    classes: dict[str, int] = {}
    for size in sizes:
        if size["class"] is not None:
            classes[size["class"]] = classes.get(size["class"], 0) + size["rows"]
    sums = [size["total"] for size in sizes if size["total"] is not None]
    return PartSummary(
        name=name,
        rows=rows,
        share=rows / total if total else None,
        classes=dict(sorted(classes.items())) or None,
        target_mean=sum(sums) / rows if sums and rows else None,
        time_from=min((size["first"] for size in sizes if size["first"]), default=None),
        time_to=max((size["last"] for size in sizes if size["last"]), default=None),
    )


def _checks(
    rule: SplitRule,
    parts: Sequence[PartSummary],
    folds: Sequence[PartSummary],
    total: int,
    shared: Mapping[str, int],
) -> list[SplitCheck]:
    by_name = {part.name: part for part in parts}
    train, test, later = by_name["train"], by_name["test"], by_name.get("later")
    unit = "group" if rule.spec.kind == "group" else "key"
    together = rule.spec.kind != "time"  # in time a unit may come again, later
    found = [
        _check(
            "rows", "every derived row lies in exactly one part", total - sum(p.rows for p in parts)
        ),
        _check(
            "shared",
            f"no {unit} lies in training and test rows",
            shared["train_test"],
            must=together,
        ),
        _check("folds", f"no {unit} lies in two folds", shared["folds"], must=together),
    ]
    if rule.spec.kind == "time":
        order = bool(train.time_to and test.time_from and train.time_to < test.time_from)
        found.append(_truth("order", "every training row is older than every test row", order))
    if later is not None and later.time_from:
        newest = max(filter(None, (train.time_to, test.time_to)), default="")
        found.append(
            _truth("later", "every later row is younger than all others", newest < later.time_from)
        )
        found.append(
            _check(
                "later units",
                f"no {unit} comes again in the later period",
                shared["train_later"],
                must=False,
            )
        )
    share = test.rows / (train.rows + test.rows)
    found.append(
        _near("share", "the share of test rows is the one asked for", share, rule.spec.test)
    )
    if rule.spec.kind == "group":
        found.append(_whole_groups(test.rows, train.rows + test.rows, rule.spec.test, shared))
    found += _class_checks(train, test)
    empty = [fold.name for fold in folds if not fold.rows]
    missing = rule.spec.folds - len(folds) + len(empty)
    found.append(_check("empty folds", "every fold has rows", missing))
    return found


def _whole_groups(rows: int, of: int, asked: float, shared: Mapping[str, int]) -> SplitCheck:
    """The cut lies at the end of a group: it may miss the share by less than one group."""
    off, largest = abs(rows - of * asked), shared["largest"] or 0
    return SplitCheck(
        name="groups",
        statement="the share of test rows is as near as whole groups allow",
        value=f"{shared['test']:,} of {shared['units']:,} groups, {off:,.0f} rows off, "
        f"{largest:,} rows in the largest group",
        verdict=Verdict.PASS if off <= largest else Verdict.WARN,
    )


def _class_checks(train: PartSummary, test: PartSummary) -> list[SplitCheck]:
    if not train.classes or not test.classes:
        return []
    gone = sorted(set(train.classes) ^ set(test.classes))
    checks = [
        SplitCheck(
            name="classes",
            statement="training and test rows have the same classes",
            value=", ".join(gone) or "all",
            verdict=Verdict.WARN if gone else Verdict.PASS,
        )
    ]
    for name in sorted(set(train.classes) & set(test.classes))[:20]:
        statement = f"class {name} has the same share in training and test rows"
        share = test.classes[name] / test.rows
        checks.append(_near("class share", statement, share, train.classes[name] / train.rows))
    return checks


def _check(name: str, statement: str, count: int, *, must: bool = True) -> SplitCheck:
    bad = Verdict.FAIL if must else Verdict.WARN
    return SplitCheck(
        name=name, statement=statement, value=float(count), verdict=bad if count else Verdict.PASS
    )


def _truth(name: str, statement: str, holds: bool) -> SplitCheck:
    return SplitCheck(
        name=name,
        statement=statement,
        value="yes" if holds else "no",
        verdict=Verdict.PASS if holds else Verdict.FAIL,
    )


def _near(name: str, statement: str, value: float, wanted: float) -> SplitCheck:
    near = abs(value - wanted) <= _SHARE_TOLERANCE
    return SplitCheck(
        name=name,
        statement=statement,
        value=round(value, 6),
        verdict=Verdict.PASS if near else Verdict.WARN,
    )
