"""spark-submit entry point that scores a batch with the deployed model (not a step of a run)."""

import sys

from crisp_spark.run.job import run_score_job

if __name__ == "__main__":
    sys.exit(run_score_job())
