"""spark-submit entry point of the step evaluate (CRISP-DM phase: evaluation)."""

import sys

from crisp_spark.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("evaluate"))
