"""The grammar of Glue's Data Quality Definition Language, as far as it is documented.

A document is a list of named values; ``Rules`` holds rules. A rule is a type, its quoted
parameters, an expression, a ``where`` clause, a threshold and labels, or rules in parentheses with
``and`` and ``or`` between them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.understanding.exchange.dqdl_words import (
    Age,
    DqdlRule,
    Formula,
    Keyword,
    Ruleset,
    Test,
)

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*|//[^\n]*)
  | (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<word>\$?[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>!=|>=|<=|[=<>\[\](),*+/-])
    """,
    re.VERBOSE,
)
_COMPARISONS = ("=", "!=", ">", ">=", "<", "<=")
_RESERVED = ("where", "with", "labels", "and", "or", "not", "between", "in", "matches")
_UNITS = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1.0, "weeks": 7.0}


def parse_dqdl(text: str) -> Ruleset:
    """Read a ruleset.

    Raises:
        SpecError: It is none; the message names the line.
    """
    parser = _Parser(text)
    constants: dict[str, Any] = {}
    rules: tuple[DqdlRule, ...] | None = None
    others: dict[str, int] = {}
    parser.constants = constants
    while parser.kind:
        name = parser.take("word")
        parser.expect("=")
        if name == "Rules":
            rules = (rules or ()) + tuple(parser.rules())
        elif name == "Analyzers":
            others[name] = len(parser.rules())
        elif name == "DefaultLabels":
            parser.raw_list()
            others[name] = 1
        else:
            constants[f"${name}"] = parser.value()
    if rules is None:
        raise SpecError("dqdl: no list of rules", hint="a ruleset holds Rules = [ ... ]")
    return Ruleset(rules, others)


class _Parser:
    def __init__(self, text: str) -> None:
        self.source = text
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.constants: dict[str, Any] = {}
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._fault(f"cannot read {text[place : place + 20]!r}", place)
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup), match[0], place))
            place = match.end()

    # Tokens.

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    @property
    def shown(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    @property
    def place(self) -> int:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.source)

    def _fault(self, message: str, place: int | None = None) -> SpecError:
        place = self.place if place is None else place
        line = self.source.count("\n", 0, place) + 1
        return SpecError(f"dqdl: line {line}: {message}")

    def take(self, kind: str) -> str:
        if self.kind != kind:
            raise self._fault(f"expected a {kind}, got {self.shown or 'the end'!r}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def accept(self, *shown: str) -> str:
        if self.kind != "text" and self.shown.lower() in shown:
            self.at += 1
            return self.tokens[self.at - 1][1].lower()
        return ""

    def expect(self, shown: str) -> None:
        if not self.accept(shown):
            raise self._fault(f"expected {shown!r}, got {self.shown or 'the end'!r}")

    # Rules.

    def rules(self) -> list[DqdlRule]:
        self.expect("[")
        found: list[DqdlRule] = []
        while not self.accept("]"):
            found.append(self.rule())
            if not self.accept(",") and self.shown != "]":
                raise self._fault(f"expected ',' or ']', got {self.shown or 'the end'!r}")
        return found

    def rule(self) -> DqdlRule:
        start = self.place
        found = self._joined()
        end = self.tokens[self.at - 1][2] + len(self.tokens[self.at - 1][1])
        return replace(found, text=" ".join(self.source[start:end].split()))

    def _joined(self) -> DqdlRule:
        parts = [self._operand()]
        joined = ""
        while word := self.accept("and", "or"):
            if joined and word != joined:
                raise self._fault("put parentheses where and and or are mixed")
            joined = word
            parts.append(self._operand())
        if not joined:
            return parts[0]
        return DqdlRule("", joined=joined, parts=tuple(parts), labels=self._labels())

    def _operand(self) -> DqdlRule:
        if self.accept("("):
            inner = self._joined()
            self.expect(")")
            return replace(inner, labels=self._labels() or inner.labels)
        start = self.place
        kind = self.take("word")
        parameters = []
        while self.kind == "text" or self.shown.startswith("$"):
            parameters.append(str(self.value()))
        while self.kind == "word" and self.shown.lower() not in _RESERVED:
            parameters.append(self.take("word"))
        test = self._test()
        where = threshold = None
        while word := self.accept("where", "with"):
            if word == "where":
                where = str(self.value())
                continue
            self.expect("threshold")
            threshold = self._test()
        labels = self._labels()
        end = self.tokens[self.at - 1][2] + len(self.tokens[self.at - 1][1])
        text = " ".join(self.source[start:end].split())
        return DqdlRule(kind, tuple(parameters), test, where or "", threshold, labels, text=text)

    def _labels(self) -> str:
        if not self.accept("labels"):
            return ""
        self.expect("=")
        return self.raw_list()

    def raw_list(self) -> str:
        start = self.place
        self.expect("[")
        while not self.accept("]"):
            if not self.kind:
                raise self._fault("a list has no end")
            self.at += 1
        return self.source[start : self.place].rstrip(", \n\t")

    # Expressions.

    def _test(self) -> Test | None:
        if self.shown in _COMPARISONS and self.kind == "sign":
            operator = self.take("sign")
            return Test(operator, (self.operand(),))
        negated = "not " if self.accept("not") else ""
        word = self.accept("between", "in", "matches")
        if not word:
            if negated:
                raise self._fault("expected between, in or matches after not")
            return None
        if word == "between":
            low = self.operand()
            self.expect("and")
            return Test(f"{negated}between", (low, self.operand()))
        if word == "matches":
            return Test(f"{negated}matches", (self.value(),))
        self.expect("[")
        values = []
        while not self.accept("]"):
            values.append(self.operand())
            self.accept(",")
        return Test(f"{negated}in", tuple(values))

    def operand(self) -> Any:
        """A value with its unit; a date before now; or, as text, whatever is computed."""
        start = self.at
        opened = self.accept("(")
        if self.accept("now"):
            self.expect("(")
            self.expect(")")
            days = 0.0
            if self.accept("-"):
                amount = float(self.take("number"))
                days = amount * self._unit()
            elif self.kind == "number" and self.shown.startswith("-"):
                days = -float(self.take("number")) * self._unit()
            if opened:
                self.expect(")")
            return Age(days)
        if opened or (self.kind == "word" and self._next() == "("):
            self.at = start
            return self._formula()
        value = self.value()
        if self.shown in {"*", "+", "-", "/"} and self.kind == "sign":
            self.at = start
            return self._formula()
        if self.shown.lower() in _UNITS and self.kind == "word":
            return Age(float(value) * self._unit())
        return value

    def _next(self) -> str:
        return self.tokens[self.at + 1][1] if self.at + 1 < len(self.tokens) else ""

    def _unit(self) -> float:
        word = self.take("word").lower()
        if word not in _UNITS:
            raise self._fault(f"expected {', '.join(_UNITS)}, got {word!r}")
        return _UNITS[word]

    def _formula(self) -> Formula:
        """Arithmetic over earlier runs: taken as it stands."""
        start, depth = self.place, 0
        while self.kind and self.kind != "text":
            ends = {",", "]", "and", "or", "where", "with", "labels"}
            if depth == 0 and (self.shown.lower() in ends or self.shown == ")"):
                break
            depth += (self.shown == "(") - (self.shown == ")")
            self.at += 1
        return Formula(self.source[start : self.place].strip())

    def value(self) -> Any:
        """A text, number, keyword or constant."""
        if self.kind == "text":
            return _unquoted(self.take("text"))
        if self.kind == "number":
            shown = self.take("number")
            return float(shown) if set(shown) & set(".eE") else int(shown)
        word = self.take("word")
        if word.upper() in Keyword.__members__:
            return Keyword[word.upper()]
        if word.lower() in {"true", "false"}:
            return word.lower() == "true"
        if word not in self.constants:
            self.at -= 1
            raise self._fault(f"expected a value, got {word!r}")
        return self.constants[word]


def _unquoted(token: str) -> str:
    # Only the quote itself is escaped in texts; patterns keep their backslashes.
    return token[1:-1].replace('\\"', '"')
