"""spark-submit entry point of the step charter (CRISP-DM phase: business)."""

import sys

from crisp_spark.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("charter"))
