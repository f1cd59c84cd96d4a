"""Fitted encodings of categories. Categories never stand in SQL: a stock indexer looks them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.ml.feature import FeatureHasher, OneHotEncoder

from crisp_spark.errors import SpecError
from crisp_spark.modeling.fitting import Feature, Fitting, looked_up
from crisp_spark.modeling.statements import numbers, text
from crisp_spark.modeling.statistics import (
    NULL_KEY,
    Categories,
    Category,
    Requests,
    Statistics,
    category_of,
    key_sql,
)
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from crisp_spark.spec.features import Encode

MISSING = "(missing)"
OTHER = "(other)"


@dataclass(frozen=True)
class Kept:
    """Categories of a feature that are told apart.

    Attributes:
        feature: The feature.
        key: Column of its keys.
        items: Categories kept, in the order of their codes.
        rest: Categories merged into one; unseen ones join them.
        rows: All training rows.
        merged_rows: Training rows of the merged categories.
    """

    feature: Feature
    key: str
    items: tuple[Category, ...]
    rest: tuple[Category, ...]
    rows: int
    merged_rows: int

    @property
    def labels(self) -> list[str]:
        """Keys of the categories kept."""
        return [item.key for item in self.items]

    @property
    def names(self) -> list[str]:
        """Names of the categories kept, for readers."""
        return [_name(item.key) for item in self.items]


def _name(key: str) -> str:
    found = category_of(key)
    return MISSING if found is None else found


def plan_encode(
    fitting: Fitting, op: Encode, chosen: list[Feature], requests: Requests
) -> Callable[[Statistics], None]:
    """Plan an encoding; every one but hashing needs the counts of the categories."""
    if op.method == "target" and not fitting.context.targets.sqls:
        raise SpecError(
            f"preparation.features.encode: method 'target' needs a label, "
            f"a {fitting.context.problem} problem has none"
        )
    for feature in chosen:
        fitting.require(feature, "encode", ("categorical", "numeric", "flag"))
    keys = [fitting.define(key_sql(feature.sql), letter="k") for feature in chosen]
    if op.method != "hashing":
        for key in keys:
            requests.count(key)

    def apply(statistics: Statistics) -> None:
        if op.method == "hashing":
            _hash(fitting, op, chosen, keys)
            return
        counted = [
            (feature, key, statistics.categories[key])
            for feature, key in zip(chosen, keys, strict=True)
        ]
        encode(fitting, op, counted)

    return apply


def encode(
    fitting: Fitting, op: Encode, counted: Sequence[tuple[Feature, str, Categories]]
) -> None:
    """Encode features whose categories were counted."""
    kept = [_kept(op, feature, key, found) for feature, key, found in counted]
    for empty in [each for each in kept if not each.items]:
        fitting.drop(empty.feature.name, "no category is frequent enough to be told apart")
    kept = [each for each in kept if each.items]
    if not kept:
        return
    indexes = fitting.index([each.key for each in kept], [each.labels for each in kept])
    if op.method == "one_hot":
        _one_hot(fitting, kept, indexes)
        return
    for each, index in zip(kept, indexes, strict=True):
        {"ordinal": _ordinal, "target": _target, "frequency": _frequency, "rare": _rare}[op.method](
            fitting, op, each, index
        )


def _kept(op: Encode, feature: Feature, key: str, found: Categories) -> Kept:
    limit = op.rare_below or 0
    least = limit * found.rows if limit < 1 else limit
    items = [item for item in found.items if item.rows >= least]
    items = items[: op.max_categories] if op.max_categories else items
    names = {item.key for item in items}
    rest = tuple(item for item in found.items if item.key not in names)
    merged = found.rows - sum(item.rows for item in items)
    return Kept(feature, key, tuple(_in_order(op, items)), rest, found.rows, merged)


def _in_order(op: Encode, items: list[Category]) -> list[Category]:
    if op.method != "ordinal":
        return items
    if op.order:
        by_key = {item.key: item for item in items}
        return [by_key.get(f"={name}") or Category(f"={name}", 0, ()) for name in op.order]
    if op.order_by == "alphabet":
        return sorted(items, key=lambda item: item.key)
    if op.order_by == "target" and all(item.sums for item in items):
        return sorted(items, key=lambda item: (item.sums[0] / item.rows, item.key))
    return items


def _one_hot(fitting: Fitting, kept: Sequence[Kept], indexes: Sequence[str]) -> None:
    """Stock one-hot vectors; unseen categories are all zeros, or fall in with the merged ones."""
    for merged in (False, True):
        chosen = [
            (each, index)
            for each, index in zip(kept, indexes, strict=True)
            if (each.merged_rows > 0) == merged
        ]
        if not chosen:
            continue
        inputs = [index for _, index in chosen]
        outputs = [fitting.fresh("v") for _ in chosen]
        # Sizes come from the indexer's metadata, so this fit starts no job.
        encoder = OneHotEncoder(
            inputCols=inputs, outputCols=outputs, dropLast=not merged, handleInvalid="error"
        )
        fitting.add_stage(encoder.fit(fitting.frame), inputs, outputs)
        for (each, _), output in zip(chosen, outputs, strict=True):
            slots = (*each.names, OTHER) if merged else tuple(each.names)
            fitting.put(
                each.feature.then(
                    f"encode(one_hot, {len(each.items)} categories)",
                    output,
                    kind="vector",
                    origin="one_hot",
                    slots=slots,
                    complete=True,
                )
            )


def _ordinal(fitting: Fitting, op: Encode, each: Kept, index: str) -> None:
    # An addition loses the column's metadata: trees then take the code as a number.
    column = index if op.nominal else fitting.define(f"{quoted(index)} + 0D")
    order = "declared" if op.order else op.order_by
    fitting.put(
        each.feature.then(
            f"encode(ordinal by {order}, {len(each.items)} categories)",
            column,
            kind="numeric",
            complete=True,
            arity=len(each.items) + 1 if op.nominal else None,
        )
    )


def _target(fitting: Fitting, op: Encode, each: Kept, index: str) -> None:
    """Smoothed means of the label; on training rows without the row's own part."""
    context = fitting.context
    position = f"CAST({quoted(index)} AS INT) + 1"
    words = f"encode(target, {len(each.items)} categories)"
    names = context.classes if context.problem == "multiclass" else ("",)
    for at, label in enumerate(names):
        values, other = _means(each, op.smoothing, at, None)
        scoring = looked_up(index, values, other)
        branches = []
        for part, value in enumerate(context.targets.parts):
            training, rest = _means(each, op.smoothing, at, part)
            branches.append(f"WHEN {value} THEN {numbers([*training, rest])}")
        arrays = f"CASE {context.targets.part} {' '.join(branches)} END"
        column = fitting.define(scoring, f"element_at({arrays}, {position})" if branches else None)
        changed = each.feature.then(words, column, kind="numeric", complete=True)
        if not label:
            fitting.put(changed)
            continue
        name = fitting.free_name(f"{each.feature.name}__{label}")
        fitting.insert_after(each.feature.name, _called(changed, name))
    if context.problem == "multiclass":
        # The rates by class stand for it.
        del fitting.features[each.feature.name]


def _called(feature: Feature, name: str) -> Feature:
    from dataclasses import replace

    return replace(feature, name=name)


def _means(each: Kept, smoothing: float, at: int, without: int | None) -> tuple[list[float], float]:
    """Return the smoothed mean of target ``at`` per category, and that of all others.

    Args:
        each: Categories.
        smoothing: Weight of the overall mean, in rows.
        at: Index of the target.
        without: Part left out (out-of-fold), by position; None for none.
    """

    def sums(item: Category) -> tuple[float, float]:
        rows, total = float(item.rows), item.sums[at] if item.sums else 0.0
        if without is not None and item.part_rows:
            rows, total = rows - item.part_rows[without], total - item.part_sums[without][at]
        return rows, total

    pairs, rest = [sums(item) for item in each.items], [sums(item) for item in each.rest]
    rows = sum(pair[0] for pair in (*pairs, *rest))
    prior = sum(pair[1] for pair in (*pairs, *rest)) / rows if rows else 0.0
    weight = max(smoothing, 1e-9)

    def mean(n: float, total: float) -> float:
        return (total + weight * prior) / (n + weight)

    other = mean(sum(n for n, _ in rest), sum(total for _, total in rest)) if rest else prior
    return [mean(*pair) for pair in pairs], other


def _frequency(fitting: Fitting, op: Encode, each: Kept, index: str) -> None:
    del op
    values = [item.rows / each.rows for item in each.items]
    column = fitting.define(looked_up(index, values, each.merged_rows / each.rows))
    words = f"encode(frequency, {len(each.items)} categories)"
    fitting.put(each.feature.then(words, column, kind="numeric", complete=True))


def _rare(fitting: Fitting, op: Encode, each: Kept, index: str) -> None:
    del op
    names = [
        "CAST(NULL AS STRING)" if item.key == NULL_KEY else text(category_of(item.key) or "")
        for item in each.items
    ]
    array = f"array({', '.join([*names, text(OTHER)])})"
    column = fitting.define(f"element_at({array}, CAST({quoted(index)} AS INT) + 1)")
    words = f"encode(rare, {len(each.items)} categories kept)"
    fitting.put(each.feature.then(words, column, kind="categorical"))


def _hash(fitting: Fitting, op: Encode, chosen: Sequence[Feature], keys: Sequence[str]) -> None:
    """Hash all columns of the operation into one sparse vector (the stock feature hasher)."""
    if not chosen:
        return
    output = fitting.fresh("v")
    hasher = FeatureHasher(inputCols=list(keys), outputCol=output, numFeatures=op.buckets)
    fitting.add_stage(hasher, keys, [output])
    names = [feature.name for feature in chosen]
    sources = tuple(dict.fromkeys(source for f in chosen for source in f.sources))
    merged = Feature(
        fitting.free_name(f"hash of {', '.join(names)}"),
        output,
        "vector",
        sources,
        (f"encode(hashing, {op.buckets} buckets)",),
        complete=True,
        slots=tuple(f"bucket {n}" for n in range(op.buckets)),
        origin="hashing",
    )
    fitting.insert_after(names[-1], merged)
    for name in names:
        del fitting.features[name]
