"""The commented project file that `crisp init` writes from a look at the data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crisp_spark.cli.look_columns import ColumnLook, SourceLook
from crisp_spark.spec.columns import quoted

PROBLEMS = ("binary", "multiclass", "regression", "clustering")
_METRICS = {
    "binary": "pr_auc",
    "multiclass": "macro_f1",
    "regression": "rmse",
    "clustering": "silhouette",
}
_TARGET_NAME = re.compile(
    r"target|label|outcome|class$|^y$|churn|default(ed)?$|fraud|surviv|late$|bought|response|"
    r"price|grade|score|rating|income|progress",
    re.IGNORECASE,
)
_POSITIVE = ("true", "1", "yes", "Yes", "YES", "Y", "y", "t", "T", "positive", "churned")
_NUMBERS = ("int", "bigint", "double")
_MOST_CLASSES = 20
_FEW_VALUES = 6
_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_ ]*[A-Za-z0-9_]$|^[A-Za-z_]$")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Choices:
    """What a new project is about.

    Attributes:
        name: Name of the project.
        target: Column to predict; None for clustering.
        problem: Class of the problem.
        source: Source that the target comes from.
    """

    name: str
    target: str | None
    problem: str
    source: SourceLook


def target_candidates(sources: Sequence[SourceLook]) -> list[tuple[SourceLook, ColumnLook]]:
    """Return the columns that may be worth predicting, likeliest first."""
    ranked = []
    for place, source in enumerate(sources):
        keys = {name for key in source.keys for name in key}
        for number, column in enumerate(source.columns):
            problem = problem_of(column)
            if problem is None or column.name in keys:
                continue
            named = bool(_TARGET_NAME.search(column.name))
            last = number == len(source.columns) - 1
            score = (not named, problem != "binary", not last, place, -number)
            ranked.append((score, source, column))
    ranked.sort(key=lambda entry: entry[0])
    return [(source, column) for _, source, column in ranked]


def problem_of(column: ColumnLook) -> str | None:
    """Return the problem that predicting a column is, or None where it is none."""
    distinct = len(column.values)
    if distinct < 2:  # noqa: PLR2004
        return None
    if distinct == 2:  # noqa: PLR2004
        return "binary"
    if column.type in _NUMBERS and (column.many or distinct > _MOST_CLASSES):
        return "regression"
    whole = column.type != "double"
    return "multiclass" if whole and not column.many and distinct <= _MOST_CLASSES else None


def scalar(value: object) -> str:
    """Write a single value as YAML."""
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _names(names: Sequence[str]) -> str:
    return "[" + ", ".join(scalar(name) for name in names) + "]"


def project_file(choices: Choices, sources: Sequence[SourceLook]) -> str:
    """Return the text of the project file."""
    parts = [
        _head(choices),
        _business(choices),
        "\n".join(
            ["data:", "  sources:", *(line for s in sources for line in _source(s, choices))]
        ),
        _preparation(choices, sources),
        _rest(choices),
    ]
    return "\n\n".join(parts) + "\n"


def _head(choices: Choices) -> str:
    return f"""\
# yaml-language-server: $schema=.crisp/schema.json
# One file for the whole project; `crisp validate` checks it, `crisp plan` tries the preparation on
# empty tables, `crisp run` carries it out. Lines marked TODO want a person.
version: 1

project:
  name: {scalar(choices.name)}
  owner: ""                    # TODO who answers for the project
  description: ""
  workspace: workspace         # tables, commits, reports and MLflow's records go here

variables: {{}}                  # name: value, used as ${{var.name}}, set with --var"""


def _business(choices: Choices) -> str:
    metric = _METRICS[choices.problem]
    if choices.problem == "clustering":
        criterion = "{id: M1, objective: O1, metric: silhouette, target: 0.2, on: test}"
        why = "the groups hold together (silhouette, -1 to 1)"
    else:
        criterion = (
            f"{{id: M1, objective: O1, metric: {metric}_gain, target: 0, on: test, "
            "compare: lower_bound}"
        )
        why = f"surely better than the best baseline, in {metric}; TODO what would be good enough?"
    lines = [
        "# Phase 1: what the business wants. The decision follows from the criteria alone.",
        "business:",
        "  background: TODO say how it is done today",
        "  objectives:",
        "    - {id: O1, statement: TODO say what shall get better}",
        "  criteria:",
        f"    # {why}",
        f"    - {criterion}",
        "  mining_goal:",
        *_goal(choices),
    ]
    if choices.problem == "binary":
        lines += [
            "  # What predictions are worth; with it the threshold is chosen by money.",
            "  # outcome_values: {tp: 10, fp: -1, fn: 0, tn: 0, currency: EUR}",
        ]
    return "\n".join(lines)


def _goal(choices: Choices) -> Iterator[str]:
    source = choices.source
    yield f"    problem: {choices.problem}"
    if choices.target is not None:
        yield f"    target: {scalar(choices.target)}"
        yield f"    target_source: {source.name}"
    column = source.column(choices.target) if choices.target else None
    if choices.problem == "binary" and column:
        yield f"    positive: {_positive(column)}               # the value that is looked for"
    if source.keys:
        yield f"    key: {_names(source.keys[0])}"
    yield '    unit_of_prediction: ""     # TODO what is one row?'
    yield '    horizon: ""                # TODO when is the prediction made?'


def _positive(column: ColumnLook) -> str:
    values = sorted(column.values, key=lambda text: (column.values[text], text))
    chosen = next((text for text in _POSITIVE if text in values), values[0])
    if column.type == "boolean":
        return chosen.lower()
    return chosen if column.type in _NUMBERS else scalar(chosen)


def _data(choices: Choices, sources: Sequence[SourceLook]) -> str:
    lines = [line for source in sources for line in _source(source, choices)]
    head = "# Phase 2: the data and what is known about it; `crisp suggest rules` finds more."
    return "\n".join([head, "data:", "  sources:", *lines])


def _source(source: SourceLook, choices: Choices) -> Iterator[str]:
    yield f"    {source.name}:"
    files = f", {source.files} files" if source.files > 1 else ""
    seen = f"{source.rows:,} rows" if source.complete else f"the first {source.rows:,} rows"
    yield f"      # seen: {seen}{files}"
    yield f"      kind: {source.kind}"
    yield f"      path: {scalar(source.path)}"
    yield '      description: ""          # TODO what is one row, where does it come from?'
    if source.kind == "csv":
        if source.separator != ",":
            yield f"      separator: {json.dumps(source.separator)}"
        missing = sorted({text for column in source.columns for text in column.null_texts})
        if missing:
            yield f"      null_values: {json.dumps(['', *missing], ensure_ascii=False)}"
    if source.encoding != "utf-8":
        yield f"      encoding: {source.encoding}"
    if source.keys:
        yield f"      key: {_names(source.keys[0])}{_other_keys(source)}"
    else:
        yield "      # key: []                # no column, pair or triple was unique"
    yield "      columns:"
    yield from _columns(source, choices)


def _other_keys(source: SourceLook) -> str:
    others = " or ".join(_names(key) for key in source.keys[1:4])
    seen = "" if source.complete else " in the rows seen"
    return f"  # unique{seen}; so is {others}" if others else f"  # unique{seen}"


def _columns(source: SourceLook, choices: Choices) -> Iterator[str]:
    known: set[str] = set()
    for column in source.columns:
        if not column.name.strip() or column.name.lower() in known:
            yield f"        # {json.dumps(column.name, ensure_ascii=False)}: no name of its own"
            continue
        known.add(column.name.lower())
        fields = [f"type: {scalar(column.type)}"]
        if source is choices.source and column.name == choices.target:
            fields += ["role: target", "known_at: outcome"]
        if source.keys and source.keys[0] == (column.name,):
            fields.append("rules: [not_null, unique]")
        note = _note(column, source.rows)
        yield f"        {scalar(column.name)}: {{{', '.join(fields)}}}{note}"


def _note(column: ColumnLook, rows: int) -> str:
    parts = []
    if column.nulls:
        parts.append(f"{column.nulls / max(rows, 1):.1%} missing")
    if column.misfits:
        parts.append(f"{column.misfits} not of this type")
    distinct = len(column.values)
    if column.many or distinct > _FEW_VALUES:
        parts.append(f"{'more than ' if column.many else ''}{distinct:,} values")
    elif distinct:
        shown = " ".join(", ".join(sorted(column.values)).split())
        parts.append(shown if len(shown) <= 60 else f"{distinct} values")  # noqa: PLR2004
    return f"  # {'; '.join(parts)}" if parts else ""


def _preparation(choices: Choices, sources: Sequence[SourceLook]) -> str:
    lines = ["# Phase 3: how the sources become training and test rows.", "preparation:"]
    others = [source for source in sources if source is not choices.source]
    joins = list(_joins(choices.source, others))
    if joins:
        lines += ["  merge:", "    steps:", *joins]
    else:
        lines += ["  # clean: {source: [{op: trim, columns: [a], reason: typed by hand}]}"]
    if others and not joins:
        lines += [f"  merge: {{output_of: {choices.source.name}}}  # TODO join the other sources"]
    target = choices.source.column(choices.target) if choices.target else None
    if target and target.nulls:
        condition = json.dumps(f"{quoted(target.name)} IS NOT NULL", ensure_ascii=False)
        lines += [f"  population: {{expression: {condition}, reason: the outcome is known}}"]
    kind = "stratified" if choices.problem in {"binary", "multiclass"} else "hash"
    lines += [
        "  # derive:",
        '  #   - {name: weekend, expression: "weekday(day) >= 5", doc: Saturday or Sunday}',
        f"  split: {{kind: {kind}, test: 0.3, folds: 3}}",
        "  # features:                 # fitted on training rows, part of the deployed model",
        "  #   - {op: impute, columns: [a, b], method: median}",
        "  # exclude: {column: why it must never be a feature}",
    ]
    return "\n".join(lines)


def _joins(main: SourceLook, others: Sequence[SourceLook]) -> Iterator[str]:
    left, have = main.name, {column.name for column in main.columns}
    for other in others:
        key = next((key for key in other.keys if set(key) <= have), None)
        if key is None:
            yield f"      # {other.name}: no key of it is among the columns of {main.name}"
            continue
        step = f"with_{other.name}"
        clash = have & {column.name for column in other.columns} - set(key)
        prefix = f", prefix: {other.name}_" if clash else ""
        yield (
            f"      - {{id: {step}, left: {left}, right: {other.name}, how: left, "
            f"keys: {_names(key)}, expect: many_to_one, min_match: 0.5{prefix}}}"
        )
        left = step


def _rest(choices: Choices) -> str:
    metric = _METRICS[choices.problem]
    return f"""\
# Phase 4: what is tried. Without families a sensible set for the problem is.
modeling:
  metric: {metric}
  # families:
  #   - {{kind: random_forest, params: {{numTrees: [50], maxDepth: [5, 10]}}}}

# Phase 5: how the winner is judged.
evaluation:
  slices: []                   # columns by which results are broken down

# Phase 6: how the model is put to use and watched.
deployment:
  alias: champion

targets:
  dev: {{default: true, compute: {{kind: local}}}}"""
