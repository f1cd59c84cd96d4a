"""The portable model as an endpoint serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from crisp_spark.errors import ModelError
from crisp_spark.serving import Answers, Bundle, load_bundle
from crisp_spark.serving.endpoint.signature import Field, Identity, RowAnswer, Use
from crisp_spark.serving.files import SUFFIX
from crisp_spark.serving.typenames import WHOLE

_BROKEN = "the model failed"


class BundleModel:
    """A bundle behind the endpoint's protocol."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.identity = Identity(
            name=bundle.name,
            version=bundle.version,
            digest=bundle.digest,
            spark=bundle.spark,
            problem=bundle.problem,
            classes=tuple(bundle.classes),
            threshold=bundle.threshold,
            key=tuple(bundle.description.get("key", ())),
        )
        self.fields = tuple(
            Field(one.name, one.type, cast("Use", one.use), one.required)
            for one in bundle.signature
        )

    def answers(self, columns: Mapping[str, Sequence[Any]], rows: int) -> list[RowAnswer]:
        """Answer rows that are given as columns."""
        return self._rendered(self._bundle.score(columns), rows)

    def stand_in(self, columns: Mapping[str, Sequence[Any]], rows: int) -> list[RowAnswer] | None:
        """Answer by the fallback rule alone; None where there is no rule."""
        if self._bundle.fallback is None:
            return None
        return self._rendered(self._bundle.stand_in(columns, _BROKEN), rows)

    def reference_row(self) -> Mapping[str, Any]:
        """Return medians and commonest values of training; columns of other kinds are left out."""
        known: Mapping[str, Mapping[str, Any]] = self._bundle.description.get("reference") or {}
        found = {one.name: _usual(known.get(one.name, {}), one.type) for one in self.fields}
        return {name: value for name, value in found.items() if value is not None}

    def _rendered(self, found: Answers, rows: int) -> list[RowAnswer]:
        classes = self._bundle.classes
        return [
            RowAnswer(
                prediction=found.prediction[at],
                score=found.score[at],
                decision=found.decision[at],
                probabilities=_named(found.probabilities[at], classes),
                answered_by=cast('Literal["model", "fallback"] | None', found.answered_by[at]),
                reasons=tuple(found.reasons[at]),
            )
            for at in range(rows)
        ]


def _usual(statistics: Mapping[str, Any], kind: str) -> Any:
    quantiles, values = statistics.get("quantiles"), statistics.get("values")
    if quantiles:
        middle = quantiles[len(quantiles) // 2]
        return int(middle) if kind in WHOLE and middle is not None else middle
    if not values:
        return None
    commonest = max(values, key=lambda text: (values[text], text))
    return commonest == "true" if kind == "boolean" else commonest


def _named(shares: Sequence[float] | None, classes: Sequence[str]) -> dict[str, float] | None:
    if shares is None:
        return None
    names = classes or [str(place) for place in range(len(shares))]
    return dict(zip(names, shares, strict=True))


def load(place: Path) -> BundleModel:
    """Load a bundle: its file, or the folder that holds it.

    Raises:
        ModelError: The folder holds none, or several.
        CrispError: The bundle is damaged, of another version, or was never checked.
    """
    if not place.is_dir():
        return BundleModel(load_bundle(place))
    found = sorted(place.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        raise ModelError(f"model: one bundle (*{SUFFIX}) is needed in {place}, found {len(found)}")
    return BundleModel(load_bundle(found[0]))
