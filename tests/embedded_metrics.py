"""Reads a log line as CloudWatch does that looks for metrics in it (embedded metric format)."""

from __future__ import annotations

import json
from numbers import Real

UNITS = {"Seconds", "Milliseconds", "Count", "Percent", "None"}

Metric = tuple[str, str, frozenset[tuple[str, str]]]


def extracted(line: str) -> dict[Metric, float]:
    """Return namespace, name and dimensions of each metric to its value.

    What CloudWatch would drop without a word is an error here.
    """
    assert "\n" not in line
    assert len(line.encode()) < 256_000
    content = json.loads(line)
    assert isinstance(content["_aws"]["Timestamp"], int)
    found = {}
    for directive in content["_aws"]["CloudWatchMetrics"]:
        assert 0 < len(directive["Metrics"]) <= 100
        for names in directive["Dimensions"]:
            assert len(names) <= 30
            where = {name: content[name] for name in names}
            for value in where.values():
                assert isinstance(value, str)
                assert value.isascii()
                assert 0 < len(value) <= 1024
            for metric in directive["Metrics"]:
                assert metric["Unit"] in UNITS
                value = content[metric["Name"]]
                assert isinstance(value, Real)
                assert not isinstance(value, bool)
                assert value == value  # noqa: PLR0124 - NaN is not equal to itself
                found[directive["Namespace"], metric["Name"], frozenset(where.items())] = value
    return found
