"""spark-submit entry point for several steps in one Spark application."""

import sys

from crisp_spark.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(None))
