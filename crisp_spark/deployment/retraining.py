"""When a model should be made anew, and how its reason reaches the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from crisp_spark.results.base import Verdict
from crisp_spark.results.monitor import Alarm, RetrainRequest

_MOST_COLUMNS = 5


def ask_for_retraining(alarms: Sequence[Alarm], today: date) -> RetrainRequest | None:
    """Ask for a new model where an alarm is more than a warning; say why in one sentence."""
    serious = [alarm for alarm in alarms if alarm.severity is Verdict.FAIL]
    if not serious:
        return None
    columns = list(dict.fromkeys(alarm.feature for alarm in serious))
    shown = ", ".join(columns[:_MOST_COLUMNS])
    more = f" and {len(columns) - _MOST_COLUMNS} more" if len(columns) > _MOST_COLUMNS else ""
    signals = list(dict.fromkeys(alarm.signal for alarm in serious))
    return RetrainRequest(
        reason=f"{', '.join(signals)} beyond the limit for {shown}{more}: {serious[0].text}",
        signals=[str(signal) for signal in signals],
        columns=columns,
        requested_on=today,
    )


def open_request(commits: Sequence[Mapping[str, Any]]) -> RetrainRequest | None:
    """Return the request of the newest earlier monitoring, where it made one.

    Args:
        commits: Earlier commits of the step ``monitor``, oldest first.
    """
    if not commits:
        return None
    asked = commits[-1]["result"].get("retrain")
    return None if asked is None else RetrainRequest.model_validate(asked)
