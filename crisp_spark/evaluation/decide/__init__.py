"""From measured criteria to a decision, in plain Python.

Pass, fail or unknown for each criterion of the charter; then deploy, iterate or stop, with the
reasons, what would change the verdict, and what could be done next.
"""

from crisp_spark.evaluation.decide.decision import decide

__all__ = ["decide"]
