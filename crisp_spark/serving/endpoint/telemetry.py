"""Numbers about answered requests: for Prometheus, and as one log line in CloudWatch's format."""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from crisp_spark.errors import CrispError

NAMESPACE = "crisp_spark/serving"
_BUCKETS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10000.0)
_SERVER_FAULT = 500
_BAD_REQUEST = 400


@dataclass(frozen=True)
class Served:
    """One answered request.

    Attributes:
        route: Path, one of those that are known.
        status: HTTP status.
        milliseconds: Time that the answer took.
        rows: Rows that were answered.
        fallback_rows: Rows that the fallback rule answered.
        unanswered_rows: Rows that neither model nor rule could answer.
        positive_rows: Rows that raised an alert.
        cold: Whether it was the first one of this process.
    """

    route: str
    status: int
    milliseconds: float
    rows: int = 0
    fallback_rows: int = 0
    unanswered_rows: int = 0
    positive_rows: int = 0
    cold: bool = False


class Counters:
    """Sums since the process began; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._sums: Counter[str] = Counter()
        self._buckets: Counter[float] = Counter()
        self._milliseconds = 0.0

    def add(self, served: Served) -> None:
        """Count a request."""
        with self._lock:
            self._requests[served.route, served.status] += 1
            for name in ("rows", "fallback_rows", "unanswered_rows", "positive_rows"):
                self._sums[name] += getattr(served, name)
            self._milliseconds += served.milliseconds
            for edge in _BUCKETS_MS:
                if served.milliseconds <= edge:
                    self._buckets[edge] += 1

    def as_text(self, model: Mapping[str, str]) -> str:
        """Return the sums in Prometheus' text format.

        Args:
            model: Labels that say which model answers.
        """
        with self._lock:
            requests, sums, buckets = (
                dict(self._requests),
                dict(self._sums),
                dict(self._buckets),
            )
            milliseconds = self._milliseconds
        total = sum(requests.values())
        lines = ["# TYPE crisp_model_info gauge", f"crisp_model_info{_labels(model)} 1"]
        lines.append("# TYPE crisp_requests_total counter")
        for (route, status), number in sorted(requests.items()):
            labels = _labels({"route": route, "status": str(status)})
            lines.append(f"crisp_requests_total{labels} {number}")
        for name in ("rows", "fallback_rows", "unanswered_rows", "positive_rows"):
            lines += [
                f"# TYPE crisp_{name}_total counter",
                f"crisp_{name}_total {sums.get(name, 0)}",
            ]
        lines.append("# TYPE crisp_request_milliseconds histogram")
        for edge in _BUCKETS_MS:
            labels = _labels({"le": f"{edge:g}"})
            lines.append(f"crisp_request_milliseconds_bucket{labels} {buckets.get(edge, 0)}")
        lines += [
            f'crisp_request_milliseconds_bucket{{le="+Inf"}} {total}',
            f"crisp_request_milliseconds_sum {milliseconds:.3f}",
            f"crisp_request_milliseconds_count {total}",
        ]
        return "\n".join(lines) + "\n"


def counter_text(name: str, kind: str, number: float) -> str:
    """Return a number without labels in Prometheus' text format.

    Args:
        name: Name without the prefix ``crisp_``.
        kind: ``counter`` or ``gauge``.
        number: The number.
    """
    return f"# TYPE crisp_{name} {kind}\ncrisp_{name} {number}\n"


def fault_line(request_id: str, **more: str) -> str:
    """Return a log line about the exception that is being handled.

    It says where it went wrong, never with which values: they may be personal.

    Args:
        request_id: Id of the request.
        more: What else the line says.
    """
    kind, error, where = sys.exc_info()
    told = {
        "level": "ERROR",
        **more,
        "request": request_id,
        "error": error.message if isinstance(error, CrispError) else getattr(kind, "__name__", ""),
        "trace": [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(where)],
    }
    return json.dumps(told, separators=(",", ":"))


def to_stdout(line: str) -> None:
    """Write a line of the log, as Lambda and containers want it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _labels(pairs: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for name, value in pairs.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def emf_line(
    served: Served,
    *,
    dimensions: Mapping[str, str],
    properties: Mapping[str, Any],
    at_ms: int,
) -> str:
    """Return one line of JSON that CloudWatch turns into metrics (embedded metric format 0).

    Args:
        served: The request.
        dimensions: What metrics are split by; few values only, never a request's id.
        properties: What is only written down, such as the request's id.
        at_ms: Time in milliseconds since the epoch.
    """
    metrics = {
        "Requests": (1, "Count"),
        "Latency": (round(served.milliseconds, 3), "Milliseconds"),
        "Rows": (served.rows, "Count"),
        "FallbackRows": (served.fallback_rows, "Count"),
        "UnansweredRows": (served.unanswered_rows, "Count"),
        "PositiveRows": (served.positive_rows, "Count"),
        "ServerErrors": (int(served.status >= _SERVER_FAULT), "Count"),
        "BadRequests": (int(_BAD_REQUEST <= served.status < _SERVER_FAULT), "Count"),
        "ColdStarts": (int(served.cold), "Count"),
    }
    directive = {
        "Namespace": NAMESPACE,
        # Alarms look at a model whatever its version; a roll-out compares versions.
        "Dimensions": [[n for n in dimensions if n != "Version"], list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }
    line: dict[str, Any] = {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]}}
    line |= dict(dimensions) | {name: value for name, (value, _) in metrics.items()}
    return json.dumps(line | dict(properties), separators=(",", ":"))
