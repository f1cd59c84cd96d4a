"""Rules as lines of a project file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_DEFAULTS: dict[str, Any] = {"severity": "warn", "mostly": 1.0}


def rule_yaml(rule: Mapping[str, Any]) -> str:
    """Return a rule (tagged by ``kind``) as one line, in its short form.

    Values are written as JSON, which is YAML too, so nothing in them can break the file.
    """
    kind = str(rule["kind"])
    details = {
        name: value
        for name, value in rule.items()
        if name != "kind" and value not in (None, "", [], {}) and _DEFAULTS.get(name) != value
    }
    if not details:
        return kind
    parts = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in details.items()]
    return f"{kind}: {{{', '.join(parts)}}}"


def rules_yaml(
    columns: Mapping[str, Sequence[Mapping[str, Any]]], rules: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return rules as they stand under a source in the project file."""
    lines = ["columns:"] if columns else []
    for column, own in columns.items():
        lines += [f"  {json.dumps(column, ensure_ascii=False)}:", "    rules:"]
        lines += [f"      - {rule_yaml(rule)}" for rule in own]
    if rules:
        lines += ["rules:", *(f"  - {rule_yaml(rule)}" for rule in rules)]
    return "".join(f"{line}\n" for line in lines)
