"""The state of feature fitting: current features, training rows so far, stages for scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pyspark.ml.feature import SQLTransformer, StringIndexerModel

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.modeling.statements import Definition, layers, number, numbers, statement
from crisp_spark.modeling.statistics import Requests, Statistics, Targets, measure_statistics
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.features import ALL_CATEGORICAL, ALL_NUMERIC, FeatureOp, is_pattern, matches

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer
    from pyspark.sql import DataFrame

    from crisp_spark.modeling.shared import SharedSet

Kind = Literal["numeric", "flag", "categorical", "tokens", "vector"]


@dataclass(frozen=True)
class Feature:
    """A feature as it stands.

    Attributes:
        name: Name for readers.
        column: Physical column that holds it now.
        kind: What the column holds.
        sources: Input columns that it comes from.
        base: Column or derived column that it started as; empty for mixtures.
        transforms: What was done to it, in order.
        complete: Whether it is known to have no missing values, at scoring time either.
        automatic: Whether a transform was chosen automatically.
        slots: Names of the places of a vector.
        origin: What made a vector: one_hot, hashing, text, pca.
        arity: Number of codes, where a tree may treat them as unordered categories.
        missing: Training rows where the source was null.
        not_numbers: Training rows where the source was NaN or infinite.
    """

    name: str
    column: str
    kind: Kind
    sources: tuple[str, ...]
    transforms: tuple[str, ...] = ()
    complete: bool = False
    automatic: bool = False
    slots: tuple[str, ...] = ()
    origin: str = ""
    arity: int | None = None
    missing: int = 0
    not_numbers: int = 0
    base: str = ""

    @property
    def sql(self) -> str:
        """The column as Spark SQL writes it."""
        return quoted(self.column)

    @property
    def width(self) -> int:
        """Places in the feature vector."""
        return len(self.slots) if self.kind == "vector" else 1

    def then(self, transform: str, column: str, **changes: object) -> Feature:
        """Return the feature after a transform."""
        return replace(
            self,
            column=column,
            transforms=(*self.transforms, transform),
            **changes,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class StageRecord:
    """A stage for scoring, and what it reads and adds.

    Attributes:
        inputs: Columns read.
        outputs: Columns added.
        stage: A fitted stock stage; None for a layer of definitions.
        definitions: A layer of definitions, each of which can be left out on its own.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    stage: Transformer | None = None
    definitions: tuple[Definition, ...] = ()


@dataclass(frozen=True)
class FeatureContext:
    """What feature fitting needs to know beside the rows.

    Attributes:
        problem: binary, multiclass, regression, clustering or recommendation.
        targets: The label, for statistics that look at it.
        label: Column of the label; empty for clustering.
        classes: Class names, where the label is a class.
        seed: Seed of learners used for selection.
        shared: What is measured together with other folds.
    """

    problem: str
    targets: Targets
    label: str = ""
    classes: tuple[str, ...] = ()
    seed: int = 42
    shared: SharedSet | None = None

    @property
    def is_classes(self) -> bool:
        """Whether the label is a class."""
        return self.problem in ("binary", "multiclass")


@dataclass
class Fitting:
    """Features under way. Operations add definitions and stages; nothing is ever overwritten.

    Attributes:
        context: What is known beside the rows.
        rows: Training rows with all columns added so far (``frame`` adds what is pending).
        raw: Spark SQL of every column that may be used, by name.
        features: Current features by name, in order.
        intake: SQL of the input of each feature, and whether it may hold NaN.
        records: Stages for scoring.
        excluded: Columns and features left out, with the reason.
        notes: What was chosen automatically.
    """

    context: FeatureContext
    rows: DataFrame
    raw: Mapping[str, str] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)
    intake: dict[str, tuple[str, bool]] = field(default_factory=dict)
    records: list[StageRecord] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _pending: list[Definition] = field(default_factory=list)
    _defined: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _indexed: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _count: int = 0
    _statements: list[str] = field(default_factory=list)
    _alike: bool = True

    def fresh(self, letter: str = "x") -> str:
        """Return a new physical column name: safe ASCII, whatever the feature is called."""
        self._count += 1
        return f"_crisp_{letter}{self._count}"

    def define(self, sql: str, training_sql: str | None = None, *, letter: str = "x") -> str:
        """Add a column and return its name; the same SQL gives the same column. Lazy."""
        known = self._defined.get((sql, training_sql))
        if known is not None:
            return known
        name = self._defined[sql, training_sql] = self.fresh(letter)
        self._pending.append(Definition(name, sql, training_sql))
        return name

    @property
    def frame(self) -> DataFrame:
        """Training rows with every column defined so far."""
        for layer in layers(self._pending):
            self._statements.append(statement(layer, training=True))
            self.rows = SQLTransformer(statement=self._statements[-1]).transform(self.rows)
            self.records.append(StageRecord(definitions=tuple(layer)))
        self._pending = []
        return self.rows

    def add_stage(self, stage: Transformer, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Append a fitted stock stage. Lazy."""
        self.rows, self._alike = stage.transform(self.frame), False
        self.records.append(StageRecord(tuple(inputs), tuple(outputs), stage))

    def measure(self, requests: Requests) -> Statistics:
        """Answer requests on the training rows."""
        frame, shared, alike = self.frame, self.context.shared, self._alike
        # What follows from the answers differs from fold to fold.
        self._alike = False
        found = shared.measure(self._statements, requests) if shared and alike else None
        return found or measure_statistics(frame, requests, self.context.targets)

    def index(self, keys: Sequence[str], labels: Sequence[Sequence[str]]) -> list[str]:
        """Add columns with the position of each key in its labels; unknown keys come last.

        A stock StringIndexerModel looks keys up by hash, and keeps texts out of SQL.
        """
        outputs = []
        # One stage each: pyspark pads lists of unequal length with nulls.
        for key, each in zip(keys, labels, strict=True):
            lookup = (key, tuple(each))
            if lookup not in self._indexed:
                output = self._indexed[lookup] = self.fresh("i")
                stage = StringIndexerModel.from_labels(
                    # The model wants at least one label.
                    list(each) or ["="],
                    inputCol=key,
                    outputCol=output,
                    handleInvalid="keep",
                )
                self.add_stage(stage, [key], [output])
            outputs.append(self._indexed[lookup])
        return outputs

    def put(self, feature: Feature) -> None:
        """Set a feature; a known name keeps its place."""
        self.features[feature.name] = feature

    def insert_after(self, name: str, feature: Feature) -> None:
        """Put a new feature behind another one."""
        items = list(self.features.items())
        at = next((n + 1 for n, (found, _) in enumerate(items) if found == name), len(items))
        items.insert(at, (feature.name, feature))
        self.features = dict(items)

    def free_name(self, wanted: str) -> str:
        """Return ``wanted``, or it with a number where a feature of that name exists."""
        name, count = wanted, 2
        while name in self.features:
            name, count = f"{wanted}_{count}", count + 1
        return name

    def drop(self, name: str, reason: str) -> None:
        """Take a feature out."""
        del self.features[name]
        self.excluded[name] = reason

    def selected(self, op: FeatureOp) -> list[Feature]:
        """Return the features an operation works on, in feature order.

        Raises:
            MissingColumnsError: A name that is no column.
            SpecError: A name that is a column but must not be a feature.
        """
        wanted: set[str] = set()
        for entry in op.columns:
            if entry == ALL_NUMERIC:
                wanted |= {f.name for f in self.features.values() if f.kind == "numeric"}
            elif entry == ALL_CATEGORICAL:
                wanted |= {f.name for f in self.features.values() if f.kind == "categorical"}
            elif entry in self.features:
                wanted.add(entry)
            elif is_pattern(entry):
                wanted |= {name for name in self.features if matches(name, (entry,))}
            elif entry in self.excluded:
                raise SpecError(
                    f"preparation.features.{op.op}: {entry!r} is no feature: {self.excluded[entry]}"
                )
            else:
                raise MissingColumnsError(
                    f"preparation.features.{op.op}", [entry], list(self.features)
                )
        return [
            feature
            for name, feature in self.features.items()
            if name in wanted and not matches(name, op.exclude)
        ]

    def raw_sql(self, name: str, place: str) -> str:
        """Return the Spark SQL of an input or derived column.

        Raises:
            MissingColumnsError: No such column.
        """
        if name not in self.raw:
            raise MissingColumnsError(place, [name], list(self.raw))
        return self.raw[name]

    def require(self, feature: Feature, place: str, kinds: tuple[Kind, ...]) -> None:
        """Refuse a feature of the wrong kind.

        Raises:
            SpecError: The feature is not of one of ``kinds``.
        """
        if feature.kind not in kinds:
            raise SpecError(
                f"preparation.features.{place}: {feature.name!r} is {feature.kind}, "
                f"{' or '.join(kinds)} is needed"
            )


def looked_up(index: str, values: Sequence[float | None], default: float | None) -> str:
    """Return the SQL of the value at an index column; ``default`` stands behind the last one.

    A long array of literals is folded once, and read by position for each row.
    """
    if not values:
        return number(default)
    return f"element_at({numbers([*values, default])}, CAST({quoted(index)} AS INT) + 1)"


def missing_count(feature: Feature) -> str:
    """Return the SQL aggregate that counts missing values."""
    return f"count_if({feature.sql} IS NULL)"


def vector_slot_names(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return names for the places of a vector feature."""
    return tuple(f"{name}={label}" for label in labels)


def needed_stages(
    records: Sequence[StageRecord], wanted: Sequence[str]
) -> tuple[list[Transformer], frozenset[str]]:
    """Return the stages that ``wanted`` columns need, and all lower-case names that they use.

    What later operations dropped is not computed at scoring time, and its inputs need not exist.
    """
    needed = {name.lower() for name in wanted}
    stages: list[Transformer] = []
    for record in reversed(records):
        if record.stage is not None:
            if any(name.lower() in needed for name in record.outputs):
                needed |= {name.lower() for name in record.inputs}
                stages.append(record.stage)
            continue
        kept = [d for d in record.definitions if d.name.lower() in needed]
        if kept:
            needed |= frozenset().union(*(d.uses for d in kept))
            stages.append(SQLTransformer(statement=statement(kept)))
    return stages[::-1], frozenset(needed)
