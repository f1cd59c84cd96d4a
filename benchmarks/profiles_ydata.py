"""ydata-profiling on Spark, once: `profiles_ydata.py TABLE WARM`, run by `profiles.py`.

Runs in an environment of its own, without this project. Prints wall seconds, CPU seconds, jobs and
rows read as one line of JSON.
"""

from __future__ import annotations

import json
import sys

from measuring import Runs
from pyspark.sql import SparkSession
from ydata_profiling import ProfileReport


def main() -> None:
    """Describe a small table first, then the other one; only that is measured."""
    table, warm = sys.argv[1:]
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "6g",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        # It casts NaN to whole numbers, which Spark 4 refuses by default.
        "spark.sql.ansi.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("ydata")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    runs = Runs(spark)

    def describe(folder: str) -> None:
        # The report's numbers, not its pages.
        ProfileReport(spark.read.parquet(folder), progress_bar=False).get_description()

    describe(warm)
    runs.measure("ydata", lambda: describe(table))
    spark.stop()
    print(json.dumps(runs.runs["ydata"][0]))


if __name__ == "__main__":
    main()
