"""How cost grows: quality rules with rows and rules, sweeps with rows and configurations.

Every point is the median of `--repeats` runs of this project alone, after a run that does not
count. Prints each point, draws `docs/growth.svg`, and ends with one JSON line: seconds by size.

    .venv/bin/python benchmarks/growth.py [--rows 1000000] [--sweep-rows 4000] [--repeats 3]
"""

from __future__ import annotations

# ruff: noqa: ANN001, ANN201
import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import quality
import sweep

from crisp_spark.engine.session import build_session

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "growth.svg"
TIMES = (1, 2, 4, 8)
BOOSTED = {"maxIter": [8], "maxDepth": [3, 5], "minInstancesPerNode": [10]}
"""Nothing is shared but the folds: every configuration is a fit of its own."""
STEPS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]


def quality_points(spark, rows, repeats):
    """Seconds of the suite with rows x 1, 2, 4, 8, and of 1, 2, 4 times as many rules."""
    bench = quality.Bench(spark)
    by_rows, by_rules = {}, {}
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        tables = {
            times: quality.generate(spark, rows // 8 * times, f"{folder}/{times}")
            for times in TIMES
        }
        for times, table in tables.items():
            by_rows[rows // 8 * times] = seconds(
                f"quality, {rows // 8 * times:,} rows",
                repeats,
                lambda t=table: bench.judge("ours", t, quality.rules(), "BASIC"),
            )
        for times in TIMES[:3]:
            many = quality.more_rules(times)
            by_rules[len(many)] = seconds(
                f"quality, {len(many)} rules",
                repeats,
                lambda m=many: bench.judge("ours", tables[4], m, "BASIC"),
            )
    return {"quality_rows": by_rows, "quality_rules": by_rules}


def sweep_points(spark, rows, repeats):
    """Seconds of fast boosted sweeps with rows x 1, 2, 4, 8, and of as many configurations."""
    found = {"sweep_rows": {}, "sweep_configurations": {}}
    for times in TIMES:
        table = sweep.table(spark, rows * times)
        case = boosted(4)
        found["sweep_rows"][rows * times] = seconds(
            f"sweep, {rows * times:,} rows",
            repeats,
            lambda t=table, c=case: sweep.ours(spark, t, c, "fast"),
        )
        table.unpersist()
    table = sweep.table(spark, rows)
    for times in TIMES:
        case = boosted(2 * times)
        count = len(sweep.points(case))
        found["sweep_configurations"][count] = seconds(
            f"sweep, {count} configurations",
            repeats,
            lambda c=case: sweep.ours(spark, table, c, "fast"),
        )
    return found


def boosted(steps):
    """A sweep of boosted trees: two depths, and so many step sizes."""
    return sweep.Case("gradient_boosting", "binary", {**BOOSTED, "stepSize": STEPS[:steps]}, ())


def seconds(name, repeats, work):
    """Run once unmeasured, then measure."""
    work()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    middle = round(statistics.median(taken), 2)
    print(f"{name:<34} {middle:7.2f} s", flush=True)
    return middle


def draw(found, spark_version) -> None:
    """Draw seconds by size, beside the line of proportional growth."""
    import matplotlib as mpl

    mpl.use("svg")
    # Texts stay texts, and the same figures give the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9}
    from matplotlib import pyplot as plt

    titles = {
        "quality_rows": ("40 quality rules", "rows"),
        "quality_rules": ("Quality rules on half of the rows", "rules"),
        "sweep_rows": ("Sweep, 8 boosted configurations", "rows"),
        "sweep_configurations": ("Sweep, boosted", "configurations"),
    }
    figure, places = plt.subplots(2, 2, figsize=(8, 5.4), layout="constrained")
    for place, (name, (title, unit)) in zip(places.flat, titles.items(), strict=True):
        sizes, taken = list(found[name]), list(found[name].values())
        ends = [0, sizes[-1]]
        place.plot(sizes, taken, "o-", color="#1f5f99", label="measured")
        linear = [0, taken[0] / sizes[0] * sizes[-1]]
        place.plot(ends, linear, "--", color="#888888", label="in proportion to the first")
        place.set(title=title, xlabel=unit, ylabel="seconds", xlim=(0, None))
        place.set_ylim(0, max(taken) * 1.5)
        place.grid(alpha=0.3)
        place.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    places.flat[0].legend(frameon=False)
    figure.suptitle(f"Spark {spark_version}, {os.cpu_count()} cores", fontsize=9)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Measure, print and draw."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--sweep-rows", type=int, default=4000)
    asked.add_argument("--repeats", type=int, default=3)
    options = asked.parse_args()
    spark = build_session(
        "bench-growth",
        master="local[2]",
        conf={"spark.driver.memory": "6g", "spark.sql.shuffle.partitions": "4"},
    )
    spark.sparkContext.setLogLevel("ERROR")
    found = quality_points(spark, options.rows, options.repeats)
    found |= sweep_points(spark, options.sweep_rows, options.repeats)
    draw(found, spark.version)
    spark.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
