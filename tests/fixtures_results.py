"""Realistic results of every step, for tests of what reads results (no JVM)."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

from crisp_spark.reporting.facts import RunFacts, StepFact
from crisp_spark.results.base import StepResult, Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.clean import CleanResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.deploy import DeployResult
from crisp_spark.results.derive import DeriveResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.ingest import IngestResult
from crisp_spark.results.merge import MergeResult
from crisp_spark.results.monitor import MonitorResult
from crisp_spark.results.profile import ProfileResult
from crisp_spark.results.quality import QualityResult
from crisp_spark.results.review import ReviewReport
from crisp_spark.results.split import SplitResult
from crisp_spark.results.sweep import SweepResult

STARTED = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SHA = "9f2c1e0b7a64d5f3c8e19b20aa57d6e4f1b3c2d09e8f7a6b5c4d3e2f1a0b9c8d"


def metric(name, value, low=None, high=None, support=0, method=""):
    return {
        "name": name,
        "value": value,
        "low": low,
        "high": high,
        "support": support,
        "method": method,
    }


def around(name, value, half, support=70_000, method="delong"):
    return metric(name, value, value - half, value + half, support, method)


# --- business -----------------------------------------------------------------------------------

CRITERIA = [
    {
        "id": "B1",
        "objective": "O1",
        "level": "business",
        "statement": "Of the flights that arrive late, at least half are announced at the gate.",
        "metric": "recall",
        "current": 0.31,
        "target": 0.5,
        "min_support": 1000,
        "on": "test",
        "compare": "lower_bound",
        "owner": "Operations",
        "date": "2026-02-02",
        "status": "agreed",
    },
    {
        "id": "B2",
        "objective": "O1",
        "level": "business",
        "statement": "At most one flight in four gets an announcement.",
        "metric": "alert_rate",
        "target": 0.25,
        "direction": "at_most",
        "on": "later",
        "status": "agreed",
    },
    {
        "id": "M1",
        "level": "mining",
        "statement": "The model orders flights clearly better than the rule in use.",
        "metric": "pr_auc_gain",
        "target": 0.1,
        "on": "test",
        "compare": "lower_bound",
        "status": "agreed",
    },
    {
        "id": "M2",
        "level": "mining",
        "statement": "It still does so in the months after.",
        "metric": "roc_auc",
        "target": 0.7,
        "on": "later",
        "status": "agreed",
    },
    {
        "id": "E1",
        "level": "economic",
        "statement": "A prediction brings in more than it costs.",
        "metric": "value_per_row",
        "unit": "USD",
        "current": 0.0,
        "target": 0.1,
        "on": "test",
        "compare": "lower_bound",
        "status": "agreed",
    },
    {
        "id": "B3",
        "objective": "O2",
        "level": "business",
        "statement": "Complaints per 1,000 passengers fall in a four-week trial.",
        "metric": "complaints per 1,000",
        "unit": "complaints",
        "current": 4.2,
        "target": 3.5,
        "direction": "at_most",
        "measured_by": "person",
        "required": False,
        "status": "draft",
    },
]


def charter(problem="binary"):
    goal = {
        "problem": problem,
        "question": "Which flights will arrive 15 minutes late or more?",
        "unit_of_prediction": "one flight",
        "horizon": "at the gate, 30 minutes before departure",
        "key": ["year", "month", "day", "carrier", "flight", "origin"],
    }
    if problem == "binary":
        goal |= {"target": "late", "target_expression": "arr_delay >= 15", "positive": True}
        goal |= {"target_source": "flights"}
    elif problem == "regression":
        goal |= {"target": "arr_delay", "target_source": "flights"}
    return CharterResult.model_validate(
        {
            "project": "flights",
            "version": 2,
            "amendment": "The economic criterion was missing.",
            "charter_hash": SHA,
            "criteria_hash": SHA[::-1],
            "frozen_at": STARTED.isoformat(),
            "background": {
                "text": "Passengers learn of delays too late. Today the dispatcher announces a "
                "delay when the incoming aircraft is late, which misses most of them.",
                "owner": "Operations",
                "date": "2026-01-15",
                "status": "agreed",
            },
            "objectives": [
                {
                    "id": "O1",
                    "statement": "Passengers hear of a delay before they are at the gate",
                    "priority": 1,
                    "owner": "Operations",
                    "status": "agreed",
                },
                {
                    "id": "O2",
                    "statement": "Fewer complaints about missing information",
                    "priority": 2,
                    "owner": "Service",
                    "status": "draft",
                },
            ],
            "stakeholders": [
                {"name": "M. Ortega", "role": "sponsor", "interest": "fewer missed connections"},
                {"name": "Gate staff", "role": "users", "interest": "no false alarms at rush hour"},
            ],
            "criteria": CRITERIA if problem == "binary" else [],
            "goal": goal,
            "technique_class": "classification",
            "question_form": "Which of two classes does a row belong to?",
            "techniques": [
                {
                    "family": "logistic_regression",
                    "title": "logistic regression",
                    "reasons": ["fast", "coefficients can be read"],
                    "limits": ["only straight effects"],
                    "chosen": True,
                },
                {
                    "family": "gbt",
                    "title": "gradient-boosted trees",
                    "reasons": ["takes interactions"],
                    "limits": ["slow on many rows"],
                    "chosen": True,
                },
                {
                    "family": "naive_bayes",
                    "title": "naive Bayes",
                    "reasons": ["very fast"],
                    "limits": ["needs non-negative features"],
                },
            ],
            "outcome_values": {"tp": 12, "fp": -3, "fn": -8, "tn": 0, "currency": "USD"}
            if problem == "binary"
            else None,
            "volume": {"rows": 330_000, "period": "year"},
            "costs": {
                "currency": "USD",
                "costs": [
                    {"name": "Cluster", "amount": 240, "period": "month", "owner": "IT"},
                    {"name": "Set-up", "amount": 18_000, "period": "once", "owner": "IT"},
                ],
                "once": 18_000,
                "yearly": 2880,
                "per_run": 0,
                "rows_per_year": 330_000,
                "break_even_per_row": 0.0633,
            },
            "resources": [
                {
                    "name": "Flights of 2013",
                    "kind": "data",
                    "detail": "five tables",
                    "owner": "BTS",
                },
                {
                    "name": "This machine",
                    "kind": "compute",
                    "detail": "2 cores, 8 GB",
                    "found_by": "program",
                },
            ],
            "conditions": [
                {
                    "kind": "assumption",
                    "id": "A1",
                    "statement": "Weather at the hour of departure is known at the gate.",
                    "owner": "Operations",
                    "status": "agreed",
                    "expires": "2026-12-31",
                },
                {
                    "kind": "constraint",
                    "id": "C1",
                    "statement": "No data about passengers is used.",
                    "rule": "no_passenger_columns",
                    "owner": "Law",
                    "status": "agreed",
                },
                {
                    "kind": "requirement",
                    "id": "R1",
                    "statement": "Staff can see why a flight was announced.",
                    "owner": "Service",
                    "status": "draft",
                    "expires": "2026-02-01",
                    "expired": True,
                },
            ],
            "risks": [
                {
                    "rank": 1,
                    "score": 9,
                    "band": "high",
                    "id": "K1",
                    "statement": "A storm season unlike 2013 wears the model out.",
                    "likelihood": "high",
                    "impact": "high",
                    "contingency": "Fall back to the rule in use.",
                    "trigger": "PSI of the score above 0.2",
                    "owner": "Operations",
                },
                {
                    "rank": 2,
                    "score": 2,
                    "band": "low",
                    "id": "K2",
                    "statement": "Staff ignore announcements after false alarms.",
                    "likelihood": "low",
                    "impact": "medium",
                    "contingency": "Raise the threshold.",
                    "trigger": "precision below 40 %",
                    "owner": "Service",
                },
            ],
            "glossary": [
                {"term": "late", "meaning": "arrives 15 minutes late or more", "column": "late"},
                {"term": "gate", "meaning": "where passengers wait to board"},
            ],
            "plan": [
                stage("Business understanding", 1, 3, 0, ["charter"]),
                stage("Data understanding", 2, 4, 3, ["ingest", "profile", "quality"]),
                stage("Data preparation", 3, 6, 7, ["clean", "merge", "derive", "split"]),
                stage("Modelling", 4, 3, 13, ["sweep"]),
                stage("Gate trial", 5, 2, 7, [], critical=False),
                stage("Evaluation", 6, 2, 16, ["evaluate", "decide"]),
            ],
            "critical_path": [
                "Business understanding",
                "Data understanding",
                "Data preparation",
                "Modelling",
                "Evaluation",
            ],
            "critical_path_days": 18,
            "current_rule": {
                "expression": "inbound_delay > 20",
                "statement": "Announce when the incoming aircraft is late.",
            },
            "amendments": [
                {
                    "version": 1,
                    "criteria_hash": SHA,
                    "charter_hash": SHA,
                    "created": "2026-02-10T08:00:00+00:00",
                    "evaluated": True,
                    "criteria_changed": False,
                },
                {
                    "version": 2,
                    "reason": "The economic criterion was missing.",
                    "criteria_hash": SHA,
                    "charter_hash": SHA,
                    "created": STARTED.isoformat(),
                    "evaluated": False,
                    "criteria_changed": True,
                    "changes": ["E1 was added"],
                },
            ],
            "warnings": ["requirement R1 expired on 2026-02-01"],
        }
    )


def stage(title, order, days, start, steps, *, critical=True):
    return {
        "stage": title,
        "order": order,
        "days": days,
        "start_day": start,
        "end_day": start + days,
        "slack_days": 0 if critical else 7,
        "critical": critical,
        "steps": steps,
        "evaluation": "the section of this report is agreed",
    }


# --- understanding ------------------------------------------------------------------------------


def receipt(name, rows, rejected=0, files=1, columns=("id", "value"), **more):
    return {
        "source": name,
        "kind": "csv",
        "location": f"data/{name}/*.csv",
        "rows_in": rows,
        "kept": rows - rejected,
        "rejected": rejected,
        "lines": rows + files,
        "headers": files,
        "blanks": 0,
        "files": files,
        "bytes": rows * 87,
        "digest": SHA[:32],
        "seconds": rows / 40_000 + 0.4,
        "columns": [{"name": column, "type": "double", "origin": "declared"} for column in columns],
        "file_receipts": [
            {
                "file": f"{name}/2013-{month + 1:02d}.csv",
                "bytes": rows * 87 // files,
                "sha256": SHA,
                "lines": rows // files + 1,
                "headers": 1,
                "blanks": 0,
                "kept": rows // files,
                "rejected": 0,
            }
            for month in range(files)
        ],
        **more,
    }


def ingest():
    flights = receipt(
        "flights",
        336_776,
        28,
        12,
        ["year", "month", "day", "dep_time", "carrier", "origin", "dest", "arr_delay", "tailnum"],
        reasons=[
            {"reason": "dep_delay: not a number", "rows": 17},
            {"reason": "20 values where 19 are expected", "rows": 11},
        ],
        examples=[
            {
                "file": "flights/2013-07.csv",
                "text": "2013,7,4,n/a,1130,-,late,1240,,UA,1545,N14228,EWR,IAH",
                "reasons": ["dep_delay: not a number"],
            }
        ],
        problems=[
            {
                "kind": "renamed_column",
                "level": "warn",
                "message": "tail_num stands in the place of tailnum in one file",
                "file": "flights/2013-09.csv",
                "column": "tailnum",
                "suggestion": "name it under `aliases`",
            },
            {"kind": "header_spelling", "level": "info", "message": "12 headers differ in case"},
        ],
        problems_in_all=2,
    )
    sources = [
        flights,
        receipt("weather", 26_115, columns=["origin", "time_hour", "temp", "wind_gust"]),
        receipt("planes", 3_322, columns=["tailnum", "year", "seats"]),
        receipt("airports", 1_458, columns=["faa", "name", "lat", "lon"]),
        receipt("airlines", 16, columns=["carrier", "name"]),
    ]
    return IngestResult.model_validate({"sources": {s["source"]: s for s in sources}})


def bell(bins=24, rows=300_000, low=-60.0, high=180.0, peak=0.25):
    width = (high - low) / bins
    weights = [math.exp(-((((i / bins) - peak) / 0.13) ** 2)) + 0.01 for i in range(bins)]
    total = sum(weights)
    return [
        {
            "low": low + i * width,
            "high": low + (i + 1) * width,
            "rows": round(rows * weight / total),
        }
        for i, weight in enumerate(weights)
    ]


def numeric(name, missing=0, rows=336_748, **more):
    return {
        "name": name,
        "type": "double",
        "semantic": "numeric",
        "missing": missing,
        "missing_share": missing / rows,
        "distinct": 527,
        "distinct_exact": False,
        "distinct_error": 0.02,
        "min": -43.0,
        "max": 1301.0,
        "numbers": {
            "mean": 12.639,
            "std": 40.21,
            "skewness": 4.8,
            "kurtosis": 43.9,
            "sum": 4_152_200.0,
            "zeros": 16_514,
            "negatives": 183_575,
            "nans": 0,
            "positive_infinities": 0,
            "negative_infinities": 0,
            "quantiles": {"0.05": -9, "0.25": -5, "0.5": -2, "0.75": 11, "0.95": 88},
            "outside_fences": 43_216,
        },
        "histogram": bell(),
        "unit": "minutes",
        **more,
    }


def text(name, values, missing=0, rows=336_748, **more):
    return {
        "name": name,
        "type": "string",
        "semantic": "category",
        "missing": missing,
        "missing_share": missing / rows,
        "distinct": len(values),
        "distinct_exact": True,
        "min": min(values),
        "max": max(values),
        "texts": {
            "min_length": 2,
            "max_length": 6,
            "mean_length": 2.4,
            "blank": 0,
            "padded": 3,
            "non_ascii": 0,
            "non_ascii_share": 0.0,
            "patterns": [{"value": "A+", "rows": rows - 900, "share": 0.997}],
        },
        "top_values": [
            {"value": value, "rows": rows // (2 + i), "share": 1 / (2 + i)}
            for i, value in enumerate(values)
        ],
        **more,
    }


def profile():
    columns = [
        numeric("dep_delay", 8_255, known_at="outcome", description="Delay at departure"),
        numeric("arr_delay", 9_430, known_at="outcome"),
        numeric("distance", unit="miles"),
        numeric("sched_dep_time", unit=""),
        text("carrier", ["UA", "B6", "EV", "DL", "AA", "MQ"]),
        text("origin", ["EWR", "JFK", "LGA"]),
        text("tailnum", ["N725MQ", "N722MQ", "N723MQ"], 2_512, notes=["few values repeat"]),
        {
            "name": "time_hour",
            "type": "timestamp",
            "semantic": "date",
            "missing": 0,
            "missing_share": 0,
            "distinct": 6936,
            "distinct_exact": True,
            "min": "2013-01-01 05:00:00",
            "max": "2013-12-31 23:00:00",
            "histogram": bell(12, 336_748, 1_357_016_400, 1_388_530_800, 0.5),
        },
    ]
    names = ["dep_delay", "arr_delay", "distance", "sched_dep_time", "carrier", "origin"]
    strength = {("dep_delay", "arr_delay"): 0.91, ("distance", "carrier"): 0.56}
    associations = [
        {
            "left": left,
            "right": right,
            "measure": "pearson" if "delay" in left else "correlation_ratio",
            "value": strength.get((left, right), round(0.31 - 0.04 * (i + j), 3)),
            "rows": 50_000,
        }
        for i, left in enumerate(names)
        for j, right in enumerate(names)
        if i < j
    ]
    power = [
        ("dep_delay", 0.93, 0.86),
        ("sched_dep_time", 0.645, 0.29),
        ("month", 0.586, 0.172),
        ("carrier", 0.581, 0.162),
        ("wind_gust", 0.531, 0.062),
        ("origin", 0.529, 0.058),
        ("distance", 0.511, 0.022),
    ]
    flights = {
        "name": "flights",
        "rows": 336_748,
        "columns": columns,
        "duplicated_rows": 0,
        "keys": [
            {
                "columns": ["year", "month", "day", "carrier", "flight", "origin"],
                "declared": True,
                "rows": 336_748,
                "distinct": 336_748,
                "duplicated_rows": 0,
                "missing_rows": 0,
                "unique": True,
            }
        ],
        "associations": associations,
        "target": {
            "name": "late",
            "expression": "arr_delay >= 15",
            "problem": "binary",
            "known": 327_318,
            "missing": 9_430,
            "classes": [
                {"value": False, "rows": 248_111, "share": 0.758},
                {"value": True, "rows": 79_207, "share": 0.242},
            ],
        },
        "power": [
            {
                "column": column,
                "measure": "roc_auc",
                "value": value,
                "power": strength_,
                "mutual_information": strength_ / 4,
                "mutual_information_share": strength_ / 2,
                "rows": 50_000,
                "missing_share": 0.0,
            }
            for column, value, strength_ in power
        ],
        "suspects": [
            {
                "column": "arr_delay",
                "reasons": ["declared as known at the outcome"],
                "declared": True,
                "power": 1.0,
            },
            {
                "column": "dep_delay",
                "reasons": ["alone it tells 86 % of what there is to know"],
                "declared": False,
                "power": 0.86,
            },
        ],
        "missingness": {
            "complete_rows": 325_819,
            "patterns": [
                {"columns": [], "rows": 325_819, "share": 0.967},
                {"columns": ["dep_delay", "arr_delay"], "rows": 8_255, "share": 0.0245},
                {"columns": ["arr_delay"], "rows": 1_175, "share": 0.0035},
            ],
            "by_target": [
                {
                    "column": "tailnum",
                    "missing_rows": 370,
                    "target_where_missing": 0.31,
                    "target_where_known": 0.242,
                }
            ],
        },
        "time": [
            {
                "column": "time_hour",
                "unit": "month",
                "first": "2013-01-01 05:00:00",
                "last": "2013-12-31 23:00:00",
                "periods": [
                    {"start": f"2013-{month + 1:02d}", "rows": 28_000 + (month * 797) % 1900}
                    for month in range(12)
                ],
            }
        ],
        "sample_rows": 50_000,
        "scans": 5,
        "notes": ["year is the same in every row"],
    }
    airlines = {
        "name": "airlines",
        "rows": 16,
        "columns": [text("carrier", ["9E", "AA", "AS"], rows=16)],
        "duplicated_rows": 0,
        "missingness": {"complete_rows": 16},
        "sample_rows": 16,
        "scans": 2,
    }
    return ProfileResult.model_validate({"sources": [flights, airlines]})


def rule(name, kind, verdict, expected, **more):
    return {
        "name": name,
        "kind": kind,
        "columns": more.pop("columns", [name.split("_")[0]]),
        "severity": more.pop("severity", "warn"),
        "expected": expected,
        "verdict": verdict,
        "rows": 336_748,
        **more,
    }


def quality():
    rules = [
        rule(
            "flights_key_unique",
            "unique",
            "pass",
            "year, month, day, carrier, flight and origin identify a row",
            evaluated=336_748,
            failed=0,
            failed_share=0.0,
            severity="fail",
        ),
        rule(
            "dep_delay_between",
            "between",
            "warn",
            "dep_delay lies between -60 and 1,000",
            evaluated=328_493,
            failed=5,
            failed_share=5 / 328_493,
            severity="drop",
            samples=[{"value": 1301.0, "rows": 1}, {"value": 1137.0, "rows": 1}],
            remedy={
                "text": "Make values outside null, and keep a flag.",
                "yaml": "- {op: null_outside, columns: [dep_delay], min: -60, max: 1000}",
            },
        ),
        rule(
            "tailnum_relationships",
            "relationships",
            "warn",
            "tailnum is found in planes",
            evaluated=334_236,
            failed=50_094,
            failed_share=50_094 / 334_236,
            samples=[{"value": "N725MQ", "rows": 575}, {"value": "N722MQ", "rows": 513}],
            remedy={"text": "Join planes with `how: left` and fill what stays empty."},
        ),
        rule(
            "row_count", "row_count", "pass", "between 300,000 and 400,000 rows", observed=336_748
        ),
        rule(
            "freshness",
            "freshness",
            "unknown",
            "time_hour is at most 30 days old",
            error="no column of that name",
        ),
    ]
    return QualityResult.model_validate(
        {
            "verdict": "unknown",
            "sources": [
                {
                    "source": "flights",
                    "rows": 336_748,
                    "kept": 336_743,
                    "quarantined": 5,
                    "verdict": "unknown",
                    "rules": rules,
                    "passes": 2,
                },
                {
                    "source": "airlines",
                    "rows": 16,
                    "kept": 16,
                    "quarantined": 0,
                    "verdict": "pass",
                },
            ],
            "docs_file": "docs/index.html",
        }
    )


# --- preparation --------------------------------------------------------------------------------


def operation(number, op, summary, before, dropped=0, columns=(), reason=""):
    return {
        "number": number,
        "op": op,
        "summary": summary,
        "reason": reason,
        "rows_before": before,
        "rows_dropped": dropped,
        "rows_after": before - dropped,
        "cells_changed": sum(column["changed"] for column in columns),
        "columns": list(columns),
        "columns_added": [],
        "columns_removed": [],
    }


def change(column, changed, filled=0, nulled=0, before=0, after=0):
    return {
        "column": column,
        "changed": changed,
        "filled": filled,
        "nulled": nulled,
        "nulls_before": before,
        "nulls_after": after,
    }


def clean():
    return CleanResult.model_validate(
        {
            "sources": [
                {
                    "source": "flights",
                    "rows_in": 336_743,
                    "rows_kept": 328_480,
                    "rows_dropped": 8_263,
                    "columns_in": ["year", "dep_delay", "tailnum", "minute"],
                    "columns_out": ["dep_delay", "tailnum"],
                    "operations": [
                        operation(0, "select", "leave out year and minute", 336_743),
                        operation(
                            1,
                            "filter",
                            "keep flights that departed",
                            336_743,
                            8_255,
                            reason="a cancelled flight has no arrival",
                        ),
                        operation(
                            2,
                            "trim",
                            "trim tailnum",
                            328_488,
                            columns=[change("tailnum", 3, before=2_512, after=2_512)],
                        ),
                        operation(
                            3,
                            "deduplicate",
                            "one row per flight, the latest wins",
                            328_488,
                            8,
                            reason="the file of July was sent twice in part",
                        ),
                        operation(
                            4,
                            "fill",
                            "fill tailnum with 'unknown'",
                            328_480,
                            columns=[change("tailnum", 2_512, filled=2_512, before=2_512)],
                        ),
                    ],
                    "dropped_by_reason": {"a cancelled flight has no arrival": 8_255},
                    "excluded": {
                        "year": "the same in every row",
                        "minute": "is part of sched_dep_time",
                    },
                    "cast_failures": 4,
                    "failure_samples": [{"column": "dep_time", "text": "24:70", "cells": 4}],
                },
                {
                    "source": "airlines",
                    "rows_in": 16,
                    "rows_kept": 16,
                    "rows_dropped": 0,
                    "columns_in": ["carrier", "name"],
                    "columns_out": ["carrier", "name"],
                    "operations": [],
                    "dropped_by_reason": {},
                    "excluded": {},
                    "cast_failures": 0,
                    "failure_samples": [],
                },
            ]
        }
    )


def keys(columns, rows, distinct, repeated=0, nulls=0, top=1):
    return {
        "columns": columns,
        "rows": rows,
        "distinct": distinct,
        "repeated_keys": repeated,
        "null_rows": nulls,
        "most_rows_per_key": top,
        "top_key_share": top / rows,
    }


def join(name, right, matched, nulls=(), **more):
    left = 328_480
    return {
        "id": name,
        "how": "left",
        "inputs": ["flights", name],
        "reason": "",
        "expect": "many_to_one",
        "found": "many_to_one",
        "rows_left": left,
        "rows_right": right,
        "rows_out": left,
        "matched_left": matched,
        "match_rate": matched / left,
        "min_match": 0.95,
        "unmatched_right": 12,
        "fan_out": 1.0,
        "left_keys": keys([name], left, right, right // 2, 0, 2_000),
        "right_keys": keys([name], right, right),
        "columns_added": ["x"],
        "nulls": list(nulls),
        "type_changes": {},
        **more,
    }


def merge():
    return MergeResult.model_validate(
        {
            "output": "with_airlines",
            "rows_out": 328_480,
            "columns": {f"column_{i}": "double" for i in range(31)},
            "steps": [
                join(
                    "weather",
                    26_115,
                    326_915,
                    [
                        {
                            "column": "temp",
                            "introduced": 1_565,
                            "left_after_cleaning": 0,
                            "operations": ["fill with the median of the month"],
                        },
                        {
                            "column": "wind_gust",
                            "introduced": 1_565,
                            "left_after_cleaning": 1_565,
                            "operations": [],
                        },
                    ],
                ),
                join(
                    "planes",
                    3_322,
                    276_251,
                    [
                        {
                            "column": "plane_year",
                            "introduced": 52_229,
                            "left_after_cleaning": 52_229,
                            "operations": ["flag_missing"],
                        }
                    ],
                    min_match=0.8,
                    reason="some airlines report fleet numbers in place of tail numbers",
                ),
                join("airlines", 16, 328_480, min_match=1.0),
            ],
        }
    )


def derived(name, expression, doc, uses, role="feature", **more):
    return {
        "name": name,
        "kind": "expression",
        "expression": expression,
        "doc": doc,
        "type": "double",
        "uses": uses,
        "role": role,
        "nulls": 0,
        "null_share": 0.0,
        "distinct": 24,
        "min": 0.0,
        "max": 23.0,
        "mean": 13.2,
        **more,
    }


def derive():
    return DeriveResult.model_validate(
        {
            "population": {
                "expression": "arr_delay IS NOT NULL",
                "reason": "Diverted flights have no arrival at the planned airport.",
                "rows_in": 328_480,
                "rows_kept": 327_310,
                "rows_out": 1_170,
            },
            "columns": [
                derived("hour", "hour(time_hour)", "Hour of the planned departure", ["time_hour"]),
                derived(
                    "hour_sin",
                    "sin(2 * pi() * hour / 24)",
                    "Hour on a circle, so that 23 and 0 are neighbours",
                    ["hour"],
                    kind="cyclic",
                    min=-1.0,
                    max=1.0,
                ),
                derived(
                    "rain_by_wind",
                    "precip * wind_speed",
                    "Rain and wind together",
                    ["precip", "wind_speed"],
                    kind="interaction",
                    null_share=0.0048,
                    nulls=1_565,
                ),
                derived("late", "arr_delay >= 15", "The target", ["arr_delay"], "target"),
            ],
            "target": {
                "name": "late",
                "expression": "arr_delay >= 15",
                "type": "boolean",
                "classes": {"false": 248_105, "true": 79_205},
                "mean": None,
                "std": None,
                "min": None,
                "max": None,
            },
            "types": {f"column_{i}": "double" for i in range(38)},
            "excluded": {
                "arr_delay": "known only at the outcome",
                "dep_delay": "known only at the outcome",
                "tailnum": "an identifier",
            },
        }
    )


def part(name, rows, share, late, start, end):
    return {
        "name": name,
        "rows": rows,
        "share": share,
        "classes": {"false": rows - late, "true": late},
        "target_mean": None,
        "time_from": start,
        "time_to": end,
    }


def split():
    jan, oct_, nov, dec = "2013-01-01", "2013-10-31", "2013-11-01", "2013-12-31"
    return SplitResult.model_validate(
        {
            "kind": "hash",
            "seed": 42,
            "key": ["year", "month", "day", "carrier", "flight", "origin"],
            "group": [],
            "time": "time_hour",
            "test_share": 0.3,
            "later_from": nov,
            "boundaries": [],
            "rows_in": 327_310,
            "parts": [
                part("train", 190_802, 0.583, 46_320, jan, oct_),
                part("test", 81_772, 0.25, 19_852, jan, oct_),
                part("later", 54_736, 0.167, 13_033, nov, dec),
            ],
            "folds": [part(f"fold {i}", 63_600, 1 / 3, 15_440 + i, jan, oct_) for i in range(3)],
            "checks": [
                {
                    "name": "no_shared_keys",
                    "statement": "No key is in two parts",
                    "value": 0,
                    "verdict": "pass",
                },
                {
                    "name": "no_future_rows",
                    "statement": "No training row is younger than the later period",
                    "value": "youngest 2013-10-31 23:00",
                    "verdict": "pass",
                },
                {
                    "name": "class_shares",
                    "statement": "Class shares differ by at most 1 percentage point",
                    "value": 0.0038,
                    "verdict": "pass",
                },
            ],
        }
    )


# --- modelling ----------------------------------------------------------------------------------


def trial(name, family, params, value, std=0.004, **more):
    folds = [] if value is None else [value - std, value + 0.3 * std, value + 0.7 * std]
    return {
        "name": name,
        "family": family,
        "params": params,
        "status": "failed" if value is None else "finished",
        "metric": value,
        "std": None if value is None else std,
        "fold_metrics": folds,
        "seconds": 11.4,
        **more,
    }


def sweep_findings(metric, best):
    return {
        "importances": [
            {"family": "", "parameter": "family", "share": 0.7, "trials": 9, "best": "gbt"},
            {"family": "gbt", "parameter": "maxDepth", "share": 0.2, "trials": 9, "best": "5"},
        ],
        "frontier": [
            {"trial": "logistic-1", "metric": best * 0.92, "seconds": 4.0},
            {"trial": "gbt-1", "metric": best, "seconds": 20.5},
        ],
        "fold_std": 0.01 * best,
        "seed_std": 0.003 * best,
        "stability": 0.87 if metric == "silhouette" else None,
        "assumptions": [
            {
                "name": "enough rows of each class",
                "verdict": "pass",
                "finding": "the rarest, true, has 46,210 rows",
            }
        ],
        "next_steps": ["maxDepth = 5 is the largest that was tried: try larger"],
    }


def sweep(problem="binary"):
    name, better, high = {
        "binary": ("pr_auc", True, 0.472),
        "regression": ("rmse", False, 33.1),
        "clustering": ("silhouette", True, 0.41),
    }[problem]
    sign = 1 if better else -1
    scale = 0.01 * high
    trials = [
        trial("gbt-1", "gbt", {"maxDepth": 5, "stepSize": 0.1}, high, scale),
        trial("gbt-2", "gbt", {"maxDepth": 3, "stepSize": 0.1}, high - sign * 1.5 * scale, scale),
        trial("forest-1", "forest", {"numTrees": 100}, high - sign * 4 * scale, scale),
        trial("logistic-1", "logistic", {"regParam": 0.01}, high - sign * 8 * scale, scale),
        trial("logistic-2", "logistic", {"regParam": 0.1}, high - sign * 9 * scale, scale),
        trial("bayes-1", "bayes", {}, None, error="a feature is negative: hour_sin"),
    ]
    baseline = high - sign * 40 * scale
    features = [
        ("hour", ["time_hour"], "numeric", ["hour(time_hour)", "median where missing"]),
        ("carrier", ["carrier"], "categorical", ["one-hot, values under 1 % together"]),
        ("temp", ["temp"], "numeric", ["median of the month where missing", "standardised"]),
        ("temp_missing", ["temp"], "flag", []),
    ]
    return SweepResult.model_validate(
        {
            "problem": problem,
            "classes": ["false", "true"] if problem == "binary" else [],
            "metric": name,
            "higher_is_better": better,
            "train_rows": 190_802,
            "plan": {
                "search": "grid",
                "planned": 6,
                "run": 6,
                "resumed": 0,
                "left_out": 0,
                "validation": "k_fold",
                "partitions": 4,
                "class_weights": {"false": 0.66, "true": 2.06} if problem == "binary" else {},
            },
            "folds": [
                {
                    "fold": i,
                    "train_rows": 127_200,
                    "validation_rows": 63_600,
                    "features": 58,
                    "seconds": 6.2,
                }
                for i in range(3)
            ],
            "families": [
                family("gbt", "gradient-boosted trees", 2, high, 41.0),
                family("forest", "random forest", 1, high - sign * 4 * scale, 23.5),
                family("logistic", "logistic regression", 2, high - sign * 8 * scale, 9.1),
                family("bayes", "naive Bayes", 1, None, 0.6, failed=1),
            ],
            "trials": trials,
            "findings": sweep_findings(name, high),
            "winner": {
                "trial": "gbt-1",
                "family": "gbt",
                "title": "gradient-boosted trees",
                "params": {"maxDepth": 5, "stepSize": 0.1},
                "metric": high,
                "std": scale,
                "reason": "it has the best mean, and no simpler trial lies within one standard "
                "error of it",
                "rows": 190_802,
                "seconds": 14.9,
                "score_is_probability": True,
                "facts": ["20 trees with at most 32 leaves each", "58 places in the vector"],
                "weights": [
                    {"slot": slot, "feature": slot, "value": value}
                    for slot, value in (
                        ("hour", 0.29),
                        ("month", 0.17),
                        ("carrier=EV", 0.11),
                        ("humid", 0.08),
                        ("temp", 0.06),
                    )
                ],
                "weight_kind": "importance",
            },
            "baselines": [
                {
                    "name": "prior",
                    "expression": "0.242",
                    "doc": "the share of the training rows",
                    "metrics": {name: baseline - sign * scale},
                },
                {
                    "name": "current_rule",
                    "expression": "inbound_delay > 20",
                    "doc": "the rule in use",
                    "metrics": {name: baseline},
                    "user": True,
                },
            ],
            "features": [
                {
                    "name": feature,
                    "source_columns": columns,
                    "kind": kind,
                    "transforms": transforms,
                    "automatic": kind == "flag",
                }
                for feature, columns, kind, transforms in features
            ],
            "excluded": [
                {"column": "dep_delay", "reason": "known only at the outcome"},
                {"column": "tailnum", "reason": "an identifier"},
            ],
            "model_columns": ["time_hour", "carrier", "temp", "month"],
            "warnings": ["wind_gust is missing in 76 % of the training rows"],
            "seconds": 98.4,
        }
    )


def family(kind, title, trials, best, seconds, failed=0):
    return {
        "name": kind,
        "kind": kind,
        "title": title,
        "trials": trials,
        "failed": failed,
        "best_metric": best,
        "seconds": seconds,
    }


# --- evaluation ---------------------------------------------------------------------------------


def curves(power):
    steps = [i / 40 for i in range(41)]
    return {
        "roc": [{"x": x, "y": x**power} for x in steps],
        "pr": [{"x": x, "y": 0.86 * (1 - x) ** 1.4 + 0.242} for x in steps],
        "calibration": [
            {
                "rows": 8_000,
                "mean_score": s,
                "rate": min(1.0, s * 1.05 + 0.01),
                "low": max(0.0, s * 1.05 - 0.02),
                "high": min(1.0, s * 1.05 + 0.04),
            }
            for s in (0.05, 0.12, 0.2, 0.29, 0.38, 0.5, 0.63, 0.78)
        ],
        "calibration_error": 0.0213,
        "gains": [
            {"share": s, "gain": s**0.62, "lift": s**0.62 / s}
            for s in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
        ],
    }


def binary_split(name, rows, late, auc, recall, precision):
    tp = round(late * recall)
    fp = round(tp / precision) - tp
    confusion = {"tp": tp, "fp": fp, "fn": late - tp, "tn": rows - late - fp, "threshold": 0.271}
    value = (12 * tp - 3 * fp - 8 * (late - tp)) / rows
    return {
        "split": name,
        "rows": rows,
        "read_rows": rows,
        "labelled_rows": rows,
        "positives": late,
        "metrics": {
            "pr_auc": around("pr_auc", auc - 0.27, 0.007),
            "roc_auc": around("roc_auc", auc, 0.004),
            "precision": around("precision", precision, 0.006, method="wilson"),
            "recall": around("recall", recall, 0.008, method="wilson"),
            "alert_rate": around("alert_rate", (tp + fp) / rows, 0.003, method="wilson"),
            "brier": around("brier", 0.162, 0.002, method="normal"),
            "log_loss": metric("log_loss", 0.492),
            "value_per_row": around("value_per_row", value, 0.06, method="bootstrap"),
            "net_value": around("net_value", value * rows, 0.06 * rows, method="bootstrap"),
        },
        "confusion": confusion,
        "curves": curves(0.36 if name == "train" else 0.43 if name == "test" else 0.5),
    }


def threshold():
    points = []
    for i in range(61):
        t = i / 60
        recall = max(0.0, 1 - t**0.8)
        alerts = max(0.0, 0.9 * (1 - t) ** 3)
        precision = None if alerts < 1e-4 else min(0.95, 0.242 * recall / alerts)
        value = (
            12 * 0.242 * recall - 3 * max(0.0, alerts - 0.242 * recall) - 8 * 0.242 * (1 - recall)
        )
        points.append(
            {
                "threshold": t,
                "alert_rate": alerts,
                "precision": precision,
                "recall": recall,
                "f1": None,
                "value_per_row": value,
            }
        )
    return {
        "value": 0.361,
        "by": "outcome_values",
        "metric": "value_per_row",
        "chosen_on": "validation",
        "capacity_share": 0.25,
        "capacity_binds": True,
        "unlimited": 0.15,
        "break_even": 0.13,
        "explanation": "A flight gets an alert from a score of 0.361 on: the best value within the "
        "capacity of 25 % of the flights. Without the limit 0.15 would bring more.",
        "curve": points,
    }


def weak_slice(name, rows, excess, *, weak, declared=True):
    return {
        "name": name,
        "columns": [piece.split("=")[0] for piece in name.split(" & ")],
        "declared": declared,
        "rows": rows,
        "loss": 1.9 + excess,
        "excess": excess,
        "low": excess - 0.3,
        "high": excess + 0.3,
        "harm": excess * rows,
        "weak": weak,
        "positives": rows // 4,
        "metrics": {"recall": 0.44, "precision": 0.41},
        "net_value": 1.1 * rows,
    }


def evaluate_binary():
    splits = [
        binary_split("train", 190_802, 46_320, 0.772, 0.588, 0.462),
        binary_split("validation", 190_802, 46_320, 0.741, 0.56, 0.431),
        binary_split("test", 81_772, 19_852, 0.739, 0.557, 0.428),
        binary_split("later", 54_736, 13_033, 0.688, 0.492, 0.389),
    ]
    test = splits[2]
    c = test["confusion"]
    readings = [
        ("tp", c["tp"], 0.557, 12.0, "late flights were announced"),
        ("fp", c["fp"], 0.239, -3.0, "punctual flights were announced for nothing"),
        ("fn", c["fn"], 0.443, -8.0, "late flights were missed"),
        ("tn", c["tn"], 0.761, 0.0, "punctual flights were left alone"),
    ]
    return EvaluateResult.model_validate(
        {
            "problem": "binary",
            "unit": "one flight",
            "currency": "USD",
            "classes": ["false", "true"],
            "main_metric": "pr_auc",
            "confidence": 0.95,
            "bootstrap": 200,
            "seed": 42,
            "splits": {part["split"]: part for part in splits},
            "threshold": threshold(),
            "readings": [
                {
                    "outcome": outcome,
                    "split": "test",
                    "rows": rows,
                    "share": share,
                    "money": rows * value,
                    "text": f"{rows:,} {words}, worth ${rows * value:,.0f}.",
                }
                for outcome, rows, share, value, words in readings
            ]
            + [
                {
                    "outcome": "fn",
                    "split": "test",
                    "slice": "carrier=EV",
                    "rows": 1_902,
                    "share": 0.41,
                    "text": "1,902 late flights of EV were missed.",
                }
            ],
            "slices": {
                "split": "test",
                "loss": "regret in USD",
                "overall": 1.9,
                "tested": 214,
                "confidence": 0.95,
                "min_support": 100,
                "columns": ["carrier", "origin", "month"],
                "skipped": {"tailnum": "4,043 different texts"},
                "slices": [
                    weak_slice("carrier=EV", 12_701, 0.91, weak=True),
                    weak_slice("month=7 & origin=EWR", 2_510, 1.4, weak=True, declared=False),
                    weak_slice("origin=LGA", 25_500, 0.11, weak=False),
                    weak_slice("carrier=HA", 104, 0.2, weak=False),
                ],
            },
            "target_groups": [
                {
                    "name": "month=7 & carrier=EV",
                    "rows": 1_310,
                    "rate": 0.47,
                    "alert_rate": 0.71,
                    "precision": 0.55,
                    "value_per_row": 3.91,
                },
                {
                    "name": "hour=21",
                    "rows": 2_702,
                    "rate": 0.41,
                    "alert_rate": 0.66,
                    "precision": 0.47,
                    "value_per_row": 2.75,
                },
            ],
            "importance": {
                "metric": "pr_auc",
                "base": 0.469,
                "rows": 2000,
                "repeats": 2,
                "items": [
                    {"column": column, "drop": drop, "low": drop - 0.008, "high": drop + 0.008}
                    for column, drop in (
                        ("time_hour", 0.131),
                        ("month", 0.052),
                        ("carrier", 0.041),
                        ("humid", 0.019),
                        ("temp", 0.004),
                        ("distance", -0.001),
                    )
                ],
            },
            "partial_dependence": [
                {
                    "column": "humid",
                    "kind": "number",
                    "rows": 500,
                    "points": [
                        {
                            "value": v,
                            "mean": 0.18 + v / 600,
                            "low": 0.15 + v / 600,
                            "high": 0.21 + v / 600,
                        }
                        for v in (20, 35, 50, 60, 75, 90, 100)
                    ],
                },
                {
                    "column": "carrier",
                    "kind": "category",
                    "rows": 500,
                    "points": [
                        {"value": v, "mean": m, "low": m - 0.02, "high": m + 0.02}
                        for v, m in (("EV", 0.33), ("B6", 0.27), ("UA", 0.22), ("DL", 0.18))
                    ],
                },
            ],
            "robustness": [
                {"damage": d, "share": s, "metric": "pr_auc", "value": v, "base": 0.469}
                for d, s, v in (
                    ("missing", 0.05, 0.461),
                    ("missing", 0.2, 0.431),
                    ("swapped", 0.05, 0.455),
                    ("swapped", 0.2, 0.411),
                )
            ],
            "comparisons": [
                {
                    "other": "baseline current_rule",
                    "split": "test",
                    "metric": "pr_auc",
                    "model": 0.469,
                    "other_value": 0.301,
                    "gain": around("pr_auc_gain", 0.168, 0.008),
                    "better": True,
                },
                {
                    "other": "baseline prior",
                    "split": "test",
                    "metric": "pr_auc",
                    "model": 0.469,
                    "other_value": 0.243,
                    "gain": around("pr_auc_gain", 0.226, 0.007),
                    "better": True,
                },
                {
                    "other": "champion",
                    "split": "later",
                    "metric": "pr_auc",
                    "model": 0.418,
                    "other_value": 0.415,
                    "gain": around("pr_auc_gain", 0.003, 0.009),
                    "better": None,
                },
            ],
            "stability": [
                {
                    "metric": "pr_auc",
                    "values": {"train": 0.502, "test": 0.469, "later": 0.418},
                    "gaps": {
                        "train_test": around("pr_auc", -0.033, 0.01),
                        "test_later": around("pr_auc", -0.051, 0.012),
                    },
                }
            ],
            "methods": {
                "delong": "variance of the area by DeLong et al. (1988)",
                "wilson": "score interval of a share, Wilson (1927)",
            },
            "notes": [],
        }
    )


def plain_split(name, rows, metrics, **more):
    return {
        "split": name,
        "rows": rows,
        "read_rows": rows,
        "labelled_rows": rows,
        "metrics": metrics,
        **more,
    }


def evaluate_regression():
    def metrics(rmse):
        return {
            "rmse": around("rmse", rmse, 0.4, method="bootstrap"),
            "mae": around("mae", rmse * 0.6, 0.2),
            "r2": around("r2", 0.171, 0.006),
            "bias": around("bias", -0.4, 0.3),
        }

    residuals = {
        "histogram": bell(20, 81_772, -120, 80, 0.6),
        "deciles": [
            {
                "decile": i + 1,
                "rows": 8_177,
                "mean_prediction": -8 + 4.1 * i,
                "mean_label": -9 + 4.4 * i,
                "mae": 12 + i * i * 0.4,
                "bias": 1 - 0.3 * i,
            }
            for i in range(10)
        ],
        "quantiles": {"0.05": -58.0, "0.5": 4.1, "0.95": 31.0},
    }
    return EvaluateResult.model_validate(
        {
            "problem": "regression",
            "main_metric": "rmse",
            "confidence": 0.95,
            "bootstrap": 200,
            "seed": 42,
            "splits": {
                "train": plain_split("train", 190_802, metrics(31.9)),
                "test": plain_split("test", 81_772, metrics(33.4), residuals=residuals),
            },
            "comparisons": [
                {
                    "other": "baseline mean",
                    "split": "test",
                    "metric": "rmse",
                    "model": 33.4,
                    "other_value": 40.1,
                    "gain": around("rmse_gain", 6.7, 0.4),
                    "better": True,
                }
            ],
        }
    )


def evaluate_clustering():
    def metrics(value):
        return {
            "silhouette": metric("silhouette", value),
            "within_ss": metric("within_ss", 1_234_567.8),
        }

    return EvaluateResult.model_validate(
        {
            "problem": "clustering",
            "main_metric": "silhouette",
            "confidence": 0.95,
            "bootstrap": 200,
            "seed": 42,
            "splits": {
                "train": plain_split("train", 700, metrics(0.42)),
                "test": plain_split("test", 300, metrics(0.4)),
            },
            "clusters": [
                {
                    "cluster": i,
                    "rows": 300 - 80 * i,
                    "share": (300 - 80 * i) / 660,
                    "silhouette": 0.5 - 0.1 * i,
                    "within_ss": 1000.0 * (i + 1),
                }
                for i in range(3)
            ],
        }
    )


def evaluate_multiclass():
    matrix = [[40, 3, 0], [2, 35, 6], [1, 5, 38]]
    labels = ["setosa", "versicolor", "virginica"]
    return EvaluateResult.model_validate(
        {
            "problem": "multiclass",
            "classes": labels,
            "main_metric": "macro_f1",
            "confidence": 0.95,
            "bootstrap": 200,
            "seed": 42,
            "splits": {
                "test": plain_split(
                    "test",
                    130,
                    {"macro_f1": around("macro_f1", 0.87, 0.05)},
                    class_matrix=matrix,
                    classes=[
                        {
                            "label": label,
                            "support": sum(matrix[i]),
                            "predicted": sum(row[i] for row in matrix),
                            "precision": around("precision", 0.88, 0.06),
                            "recall": around("recall", 0.87, 0.06),
                            "f1": 0.875,
                        }
                        for i, label in enumerate(labels)
                    ],
                )
            },
        }
    )


def criterion(number, verdict, value, half, sentence, support=19_852):
    declared = CRITERIA[number]
    return {
        "id": declared["id"],
        "level": declared["level"],
        "metric": declared["metric"],
        "unit": declared.get("unit", ""),
        "on": declared.get("on", "test"),
        "required": declared.get("required", True),
        "verdict": verdict,
        "value": value,
        "low": None if half is None else value - half,
        "high": None if half is None else value + half,
        "held": None if value is None else value,
        "compare": declared.get("compare", "estimate"),
        "direction": declared.get("direction", "at_least"),
        "target": declared["target"],
        "current": declared.get("current"),
        "margin": None if value is None else value - declared["target"],
        "support": support,
        "rows": support,
        "sentence": sentence,
    }


def decide(decision="iterate"):
    return DecideResult.model_validate(
        {
            "decision": decision,
            "verdict": "iterate",
            "summary": "The model is better than the rule in use and pays for itself, but it does "
            "not hold in the later period: improve it before it is deployed.",
            "reasons": [
                "M2 is missed: the ROC AUC of the later period is 0.688, at least 0.7 is required",
                "4 of 5 required criteria are met",
            ],
            "criteria": [
                criterion(0, "pass", 0.557, 0.008, "The lower bound 0.549 is above the target."),
                criterion(1, "pass", 0.238, 0.003, "24 % of the flights get an announcement."),
                criterion(2, "pass", 0.168, 0.008, "The gain over the rule is 0.168."),
                criterion(3, "fail", 0.688, 0.004, "0.688 is 0.012 short of the target."),
                criterion(4, "pass", 0.22, 0.06, "A prediction brings in 0.22 USD."),
                criterion(5, "unknown", None, None, "The trial has not been run.", 0),
            ],
            "baselines": [
                {
                    "other": "current_rule",
                    "metric": "pr_auc",
                    "split": "test",
                    "model": 0.469,
                    "other_value": 0.301,
                    "gain": 0.168,
                    "low": 0.16,
                    "high": 0.176,
                    "verdict": "pass",
                    "sentence": "Better than the rule in use.",
                }
            ],
            "proofs": [
                {
                    "name": "no_shared_keys",
                    "verdict": "pass",
                    "sentence": "No flight is in two parts.",
                }
            ],
            "caveats": ["wind_gust is missing in 76 % of the rows."],
            "changes": [
                {
                    "criterion": "M2",
                    "kind": "quality",
                    "sentence": "A ROC AUC of 0.7 in the later period, 0.012 more than now",
                    "needed": 0.7,
                }
            ],
            "actions": [
                {
                    "id": "season",
                    "title": "Add the season",
                    "reason": "the score has drifted most in December",
                    "recommended": True,
                },
                {"id": "stop", "title": "Stop here", "reason": "the rule in use stays"},
            ],
            "override": {
                "decision": "deploy",
                "name": "M. Ortega",
                "reason": "The trial needs a running model.",
                "date": "2026-03-02",
                "applied": True,
                "sentence": "M. Ortega decided to deploy against the verdict: the trial needs a "
                "running model",
            }
            if decision != "iterate"
            else None,
            "evidence": {
                "hash": SHA,
                "charter_version": 2,
                "charter_hash": SHA,
                "criteria_hash": SHA,
                "amendments": 1,
            },
        }
    )


# --- deployment ---------------------------------------------------------------------------------


def deploy():
    return DeployResult.model_validate(
        {
            "status": "deployed",
            "reason": "M. Ortega decided to deploy against the verdict",
            "decision": "deploy",
            "overridden": True,
            "model": {
                "name": "flights",
                "version": "3",
                "uri": "models:/flights/3",
                "alias": "champion",
                "run_id": SHA[:32],
                "tags": {"crisp.charter_version": "2", "crisp.evidence": SHA},
            },
            "inputs": [
                {"name": "time_hour", "type": "timestamp", "required": True},
                {"name": "carrier", "type": "string"},
            ],
            "problem": "binary",
            "classes": ["false", "true"],
            "positive": "true",
            "threshold": 0.361,
            "key": ["year", "month", "day", "carrier", "flight", "origin"],
            "fallback": "inbound_delay > 20",
            "deployment_plan": [
                {"topic": "Schedule", "text": "every night", "written_by": "person"},
                {"topic": "Rollback", "text": "move the alias back to the version before"},
            ],
            "monitoring_plan": [
                {
                    "signal": "PSI",
                    "limit": "0.2",
                    "meaning": "a column has moved",
                    "action": "look at the column, then run the flow again",
                    "owner": "Operations",
                }
            ],
        }
    )


def drift(column, psi, verdict="pass", role="input"):
    return {
        "column": column,
        "role": role,
        "kind": "number",
        "reference_rows": 190_802,
        "current_rows": 54_736,
        "psi": psi,
        "psi_noise": 0.001,
        "js": psi / 6,
        "ks": psi / 2,
        "missing_reference": 0.01,
        "missing_current": 0.012,
        "verdict": verdict,
    }


def monitor():
    return MonitorResult.model_validate(
        {
            "verdict": "warn",
            "reference": "train",
            "score_reference": "test",
            "current": "later",
            "reference_rows": 190_802,
            "current_rows": 54_736,
            "limits": {"psi_limit": 0.2, "ks_limit": 0.1, "stale_after_days": 90},
            "columns": [
                drift("month", 6.9, "warn"),
                drift("temp", 1.41, "warn"),
                drift("_crisp_score", 0.081, role="score"),
                drift("carrier", 0.012),
                drift("origin", 0.001),
            ],
            "quality": [
                {
                    "metric": "pr_auc",
                    "reference": 0.469,
                    "current": 0.418,
                    "drop": 0.051,
                    "low": 0.039,
                    "high": 0.063,
                    "support": 54_736,
                    "verdict": "warn",
                }
            ],
            "labels_known_rows": 54_736,
            "trained_on": date(2026, 3, 2),
            "stale_after": date(2026, 5, 31),
            "alarms": [
                {
                    "signal": "psi",
                    "feature": "temp",
                    "value": 1.41,
                    "limit": 0.2,
                    "severity": Verdict.WARN,
                    "action": "look at the column, then run the flow again on recent data",
                    "text": "temp has moved: PSI 1.41, limit 0.2",
                },
                {
                    "signal": "performance",
                    "feature": "pr_auc",
                    "value": 0.051,
                    "limit": 0.05,
                    "severity": Verdict.FAIL,
                    "action": "",
                    "text": "PR AUC has dropped by 0.051, limit 0.05",
                },
            ],
            "methods": {"psi": "sum of (p - q) ln(p / q) over the reference's deciles"},
        }
    )


def review():
    return ReviewReport.model_validate(
        {
            "tasks": [
                {
                    "number": "1.1",
                    "name": "Determine business objectives",
                    "phase": "business",
                    "state": "done",
                    "outputs": [
                        {
                            "number": "1.1.1",
                            "name": "Background",
                            "state": "done",
                            "written_by": "person",
                            "evidence": "agreed on 2026-01-15",
                            "step": "charter",
                            "owner": "Operations",
                        },
                        {
                            "number": "1.1.2",
                            "name": "Business objectives",
                            "state": "drafted",
                            "evidence": "2 objectives",
                            "step": "charter",
                        },
                    ],
                },
                {
                    "number": "5.2",
                    "name": "Review process",
                    "phase": "evaluation",
                    "state": "missing",
                    "outputs": [
                        {"number": "5.2.1", "name": "Review of process", "state": "missing"}
                    ],
                },
            ],
            "process": "The gate trial should have started earlier",
            "lessons": ["Ask for the weather forecast, not for the weather."],
        }
    )


ALL = (
    charter,
    ingest,
    profile,
    quality,
    clean,
    merge,
    derive,
    split,
    sweep,
    evaluate_binary,
    decide,
    deploy,
    monitor,
)


def binary_results() -> dict[str, StepResult]:
    """Results of a binary project in which every step has run."""
    return {result.step: result for result in (build() for build in ALL)}


def regression_results() -> dict[str, StepResult]:
    """The same up to the split; a number is predicted, no decision was taken."""
    results = binary_results()
    for step in ("decide", "deploy", "monitor"):
        del results[step]
    return results | {
        "charter": charter("regression"),
        "sweep": sweep("regression"),
        "evaluate": evaluate_regression(),
    }


def clustering_results() -> dict[str, StepResult]:
    """Groups without a target."""
    return regression_results() | {
        "charter": charter("clustering"),
        "sweep": sweep("clustering"),
        "evaluate": evaluate_clustering(),
    }


def run_facts(**more) -> RunFacts:
    """Facts of a run in which ingest was taken over from an earlier one."""
    seconds = [0.2, 21, 33, 18, 9.4, 14, 12, 8, 98.4, 41, 0.3, 6, 11]
    steps = [build.__name__.removesuffix("_binary") for build in ALL]
    facts = {
        "project": "flights",
        "owner": "Operations",
        "description": "Tell passengers at the gate which flights will arrive late.",
        "run_id": "20260302-093000-c0ffee",
        "rendered": STARTED + timedelta(minutes=5),
        "seed": 42,
        "project_hash": SHA,
        "versions": {"crisp_spark": "0.1.0", "Python": "3.11.9", "Spark": "4.1.1"},
        "steps": tuple(
            StepFact(
                step,
                STARTED + timedelta(seconds=20 * number),
                seconds[number],
                SHA[number : number + 32],
                "20260301-170000-beef00" if step == "ingest" else "20260302-093000-c0ffee",
                {"spark": "4.1.1"},
            )
            for number, step in enumerate(steps)
        ),
    }
    return RunFacts(**(facts | more))
