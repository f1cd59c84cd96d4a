"""Spark SQL for use without Spark: the tree that Spark's own analyser makes of an expression.

Spark resolves names, chooses functions and puts in every implicit cast; what is kept is that tree.
So a portable model needs no second parser, and types can never be guessed differently.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import ModelError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Node = dict[str, Any]

_MODES = frozenset(
    {"Cast", "Add", "Subtract", "Multiply", "Divide", "IntegralDivide", "Remainder", "Pmod"}
)
_ZONED = frozenset({"FromUTCTimestamp", "ToUTCTimestamp"})
_FIRST_YEAR, _LAST_YEAR = -2_208_988_800, 4_102_444_800  # 1900 and 2100


class NotPortableError(ModelError):
    """A stage or an expression has no counterpart outside Spark."""


def definitions(
    made: DataFrame, before: Collection[str], functions: Collection[str]
) -> Iterator[tuple[str, Node]]:
    """Yield name and tree of every column that a statement adds.

    Args:
        made: What the statement makes of an empty table.
        before: Columns of that table.
        functions: What the runtime has.

    Raises:
        NotPortableError: The statement does more than to add columns, or an expression has a part
            without a counterpart; the message names it.
    """
    plan = made._jdf.queryExecution().analyzed()  # noqa: SLF001
    projects = []
    while plan.nodeName() == "Project":
        projects.append(plan)
        plan = plan.children().head()
    if not projects or plan.nodeName() not in ("SubqueryAlias", "View"):
        raise NotPortableError(f"a statement with {plan.nodeName()} (only new columns are carried)")
    known = {name.lower(): name for name in before}
    for project in reversed(projects):
        columns = project.projectList()
        added = []
        for at in range(columns.size()):
            column = columns.apply(at)
            if column.getClass().getSimpleName() == "Alias":
                name = column.name()
                added.append((name, _Reader(functions, known).read(column.child())))
        for name, tree in added:
            known[name.lower()] = name
            yield name, tree


def expression_tree(sql: str, frame: DataFrame, functions: Collection[str]) -> Node:
    """Return the tree of one expression over the columns of a frame.

    Raises:
        NotPortableError: It has a part without a counterpart; the message names it.
    """
    from pyspark.sql import functions as F

    made = frame.select(F.expr(sql).alias("_crisp_value"))
    plan = made._jdf.queryExecution().analyzed()  # noqa: SLF001
    single = plan.nodeName() == "Project" and plan.projectList().size() == 1
    # Spark 3.5 puts a projection on top of windows; what it names is computed further down.
    if not single or plan.projectList().head().nodeName() != "Alias":
        raise NotPortableError(f"{sql!r} is more than an expression of its row")
    known = {name.lower(): name for name in frame.columns}
    return _Reader(functions, known).read(plan.projectList().head().child())


class _Reader:
    """Reads one tree of the JVM: its shape from JSON, its types from the nodes themselves."""

    def __init__(self, functions: Collection[str], known: dict[str, str]) -> None:
        self._functions = functions
        self._known = known
        self._common: list[str] = []
        self._count = 0

    def read(self, expression: Any) -> Node:
        node, _ = self._read(expression, json.loads(expression.toJSON()), 0)
        return node

    def _read(self, jvm: Any, listed: list[dict[str, Any]], at: int) -> tuple[Node, int]:
        """Return the node at a place of the flat list, and the place behind it."""
        plain = listed[at]
        name = str(plain["class"]).rpartition(".")[2]
        leaf = self._leaf(name, plain, jvm)
        if leaf is not None:
            return leaf, at + 1
        if name not in self._functions:
            return self._replaced(jvm, listed, at)
        kind = _type(jvm)
        if name == "CreateArray":
            constants = _constants(listed, at, kind)
            if constants is not None:
                return constants
        node: Node = {"f": name, "t": kind}
        if name == "With":
            self._count += 1
            self._common.append(f"w{self._count}")
            node["id"] = self._common[-1]
        node["a"], at = self._children(jvm, listed, at)
        if name == "With":
            self._common.pop()
        return self._with_details(node, plain, jvm), at

    def _leaf(self, name: str, plain: dict[str, Any], jvm: Any) -> Node | None:
        if name == "AttributeReference":
            return self._column(plain, jvm)
        if name == "Literal":
            return _literal(plain, jvm)
        if name == "CommonExpressionRef":
            return self._named(name, jvm, self._common[-1])
        if name == "NamedLambdaVariable":
            return self._named(name, jvm, str(plain["exprId"]["id"]))
        return None

    def _children(self, jvm: Any, listed: list[dict[str, Any]], at: int) -> tuple[list[Node], int]:
        count = int(listed[at]["num-children"])
        children, found = jvm.children(), []
        following = at + 1
        for number in range(count):
            child = children.apply(number)
            if child.getClass().getSimpleName() == "CommonExpressionDef":
                child, following = child.child(), following + 1
            node, following = self._read(child, listed, following)
            found.append(node)
        return found, following

    def _replaced(self, jvm: Any, listed: list[dict[str, Any]], at: int) -> tuple[Node, int]:
        """A function that Spark defines by others: only its definition counts."""
        plain = listed[at]
        if isinstance(plain.get("replacement"), int):
            found, following = self._children(jvm, listed, at)
            return found[int(plain["replacement"])], following
        try:
            other = jvm.replacement()
        except Exception as error:
            name = str(plain["class"]).rpartition(".")[2]
            raise NotPortableError(f"{name} in {_sql(jvm)}") from error
        node, _ = self._read(other, json.loads(other.toJSON()), 0)
        return node, _behind(listed, at)

    def _column(self, plain: dict[str, Any], jvm: Any) -> Node:
        name = self._known.get(str(plain["name"]).lower())
        kind = _type(jvm)
        if name is None or not (kind in _PLAIN or kind.startswith(("decimal", "array<"))):
            raise NotPortableError(f"column {plain['name']!r} of type {kind} in an expression")
        return {"c": name, "t": kind}

    @staticmethod
    def _named(name: str, jvm: Any, identity: str) -> Node:
        return {"f": name, "t": _type(jvm), "id": identity, "a": []}

    @staticmethod
    def _with_details(node: Node, plain: dict[str, Any], jvm: Any) -> Node:
        name = node["f"]
        if plain.get("timeZoneId") not in (None, "UTC"):
            raise NotPortableError(f"{name} in time zone {plain['timeZoneId']} (UTC is carried)")
        if name in _MODES:
            mode = jvm.evalMode().toString()
            if mode == "LEGACY":
                raise NotPortableError(f"{name} without ANSI rules")
            if mode != "ANSI":
                node["mode"] = mode
        if name in ("ElementAt", "GetArrayItem") and plain.get("failOnError") is False:
            node["fail"] = False
        if name == "Size" and plain.get("legacySizeOfNull"):
            node["legacy"] = True
        if name == "Like":
            node["escape"] = str(jvm.escapeChar())
        if name == "Murmur3Hash":
            node["seed"] = int(plain["seed"])
        if name in _ZONED:
            node["zone"] = _zone(node)
        return node


_PLAIN = frozenset(
    {"double", "float", "tinyint", "smallint", "int", "bigint", "boolean", "string", "date"}
    | {"timestamp", "timestamp_ntz"}
)


def _behind(listed: list[dict[str, Any]], at: int) -> int:
    """Return the place behind a node and all that is below it."""
    following = at + 1
    for _ in range(int(listed[at]["num-children"])):
        following = _behind(listed, following)
    return following


def _type(jvm: Any) -> str:
    return str(jvm.dataType().simpleString())


def _sql(jvm: Any) -> str:
    text = str(jvm.toString())
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004


def _literal(plain: dict[str, Any], jvm: Any) -> Node:
    kind = _type(jvm)
    if plain["value"] is None:
        return {"v": None, "t": kind}
    if kind in ("date", "timestamp", "timestamp_ntz") or kind.startswith("interval "):
        return {"v": int(jvm.value()), "t": kind}
    if kind == "interval":
        value = jvm.value()
        return {"v": [value.months(), value.days(), value.microseconds()], "t": kind}
    return {"v": _plain_literal(str(plain["value"]), kind), "t": kind}


def _plain_literal(value: str, kind: str) -> Any:
    if kind == "boolean":
        return value == "true"
    if kind in ("double", "float"):
        number = float(value)
        return number if number - number == 0 else value
    if kind in ("tinyint", "smallint", "int", "bigint"):
        return int(value)
    if kind == "string" or kind.startswith("decimal"):
        return value
    raise NotPortableError(f"a literal of type {kind}")


def _constants(listed: list[dict[str, Any]], at: int, kind: str) -> tuple[Node, int] | None:
    """A long array of double literals, read without asking the JVM about each of them."""
    if kind != "array<double>":
        return None
    values: list[Any] = []
    following = at + 1
    for _ in range(int(listed[at]["num-children"])):
        sign, plain = 1.0, listed[following]
        name = str(plain["class"]).rpartition(".")[2]
        while name in ("Cast", "UnaryMinus"):
            sign = -sign if name == "UnaryMinus" else sign
            following += 1
            plain = listed[following]
            name = str(plain["class"]).rpartition(".")[2]
        if name != "Literal" or plain["dataType"] not in ("double", "void", "string"):
            return None
        value = plain["value"]
        number = None if value is None else sign * float(value)
        values.append(number if number is None or number - number == 0 else str(number))
        following += 1
    return {"v": values, "t": kind}, following


def _zone(node: Node) -> list[list[int]]:
    """Offsets of a zone by the JVM's own rules, so that the runtime needs no table of zones."""
    name = node["a"][1].get("v")
    if name is None:
        raise NotPortableError(f"{node['f']} whose zone is no literal")
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    java = session.sparkContext._jvm.java.time  # type: ignore[union-attr]  # noqa: SLF001
    rules = java.ZoneId.of(name).getRules()
    at = java.Instant.ofEpochSecond(_FIRST_YEAR)
    offsets, instants = [rules.getOffset(at).getTotalSeconds()], []
    following = rules.nextTransition(at)
    while following is not None and following.toEpochSecond() < _LAST_YEAR:
        instants.append(following.toEpochSecond() * 1_000_000)
        offsets.append(following.getOffsetAfter().getTotalSeconds())
        following = rules.nextTransition(following.getInstant())
    return [instants, offsets]
