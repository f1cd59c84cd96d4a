"""spark-submit entry point of the step report (CRISP-DM phase: deployment)."""

import sys

from crisp_spark.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job("report"))
