"""dbt's ``schema.yml`` tests as rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.understanding.exchange.carried import ImportedRules, NoEqualError
from crisp_spark.understanding.exchange.dbt_tests import Test, rules_of

_GROUPS = ("models", "seeds", "snapshots")
_CONFIG = (
    "severity", "where", "limit", "tags", "enabled", "error_if", "warn_if", "fail_calc",
    "store_failures", "store_failures_as", "meta", "group", "database", "schema", "alias",
)  # fmt: skip
_UNUSED = ("error_if", "warn_if", "fail_calc", "limit")
_JINJA = re.compile(r"\{\{|\{%")


def import_dbt(text: str) -> ImportedRules:
    """Turn the tests of a dbt ``schema.yml`` into rules; a model or table becomes a source.

    Raises:
        SpecError: It is no YAML, or no dbt properties file.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise SpecError(f"dbt: no YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(document, Mapping) or not {*_GROUPS, "sources"} & set(document):
        raise SpecError(
            "dbt: no models, seeds, snapshots or sources in the file",
            hint="give a schema.yml, where tests stand below models and their columns",
        )
    found = ImportedRules()
    for place, name, node in _nodes(document):
        for test in _tests_of(place, node):
            _carry(test, name, found)
    for kind in ("unit_tests", "data_tests", "tests"):
        if document.get(kind):
            found.left_out.append(f"{kind}: only tests below models and columns are rules")
    return found


def _nodes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each model or table: its place, its name, and itself."""
    for group in _GROUPS:
        for node in _maps(document.get(group)):
            yield f"{group}.{node.get('name')}", str(node.get("name", "")), node
    for source in _maps(document.get("sources")):
        for node in _maps(source.get("tables")):
            place = f"sources.{source.get('name')}.{node.get('name')}"
            yield place, str(node.get("name", "")), node


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value or () if isinstance(one, Mapping)]


def _tests_of(place: str, node: Mapping[str, Any]) -> Iterator[Test]:
    for name in ("tests", "data_tests"):
        for number, item in enumerate(node.get(name) or ()):
            yield _test_of(f"{place}.{name}[{number}]", "", item)
        for column in _maps(node.get("columns")):
            own = str(column.get("name", ""))
            for number, item in enumerate(column.get(name) or ()):
                yield _test_of(f"{place}.{own}.{name}[{number}]", own, item)


def _test_of(place: str, column: str, item: Any) -> Test:
    if isinstance(item, str):
        return Test(place, item, column)
    if not isinstance(item, Mapping) or not item:
        return Test(place, str(item), column, fault="is no test")
    if "test_name" in item:
        name, details = str(item["test_name"]), dict(item)
        details.pop("test_name")
    else:
        name = str(next(iter(item)))
        details = {**(item[name] or {})} if isinstance(item[name], Mapping) else {}
        details |= {key: value for key, value in item.items() if key != name}
    given = str(details.pop("name", ""))
    arguments = details.pop("arguments", {}) or {}
    config = {**(details.pop("config", {}) or {})}
    config |= {key: details.pop(key) for key in _CONFIG if key in details}
    details.pop("description", None)
    return Test(place, name, column, {**details, **arguments}, config, given)


def _carry(test: Test, source: str, found: ImportedRules) -> None:
    try:
        _check(test)
        details = _details(test)
        for column, rule, difference in rules_of(test):
            found.source(source).add(column, rule | _fitting(details, rule))
            if difference:
                found.differences.append(f"{test.place} {test.name}: {difference}")
    except NoEqualError as error:
        found.left_out.append(f"{test.place} {test.name}: {error}")
        return
    for name in _UNUSED:
        if name in test.config:
            found.differences.append(f"{test.place} {test.name}: {name} is not kept")


def _check(test: Test) -> None:
    if test.fault:
        raise NoEqualError(test.fault)
    if _JINJA.search(str(test.config) + str(_without_references(test.arguments))):
        raise NoEqualError("it holds Jinja")
    if test.config.get("enabled") is False:
        raise NoEqualError("it is not enabled")


def _without_references(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "to"}


def _details(test: Test) -> dict[str, Any]:
    """Severity, condition and name; dbt's own severity is ``error``."""
    severity = str(test.config.get("severity", "error")).lower()
    found = {"severity": "fail" if severity == "error" else "warn"}
    if test.config.get("where"):
        found["where"] = str(test.config["where"])
    return found | ({"name": test.given} if test.given else {})


def _fitting(details: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(details)
    if "where" in found and rule["kind"] in {"row_count", "schema", "freshness", "as_usual"}:
        raise NoEqualError(f"{rule['kind']} takes no where")
    if "where" in found and rule["kind"] in {"distinct_count_between", "quantile_between"}:
        raise NoEqualError(f"{rule['kind']} takes no where")
    if "where" in found and rule.get("where"):
        found["where"] = f"({found['where']}) AND ({rule['where']})"
    return found
