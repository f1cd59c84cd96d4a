"""Evidence of an output: what was written or computed, and whether a person stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crisp_spark.results.base import StepResult
from crisp_spark.spec.business import Authored
from crisp_spark.spec.project import ProjectSpec

R = TypeVar("R", bound=StepResult)


@dataclass(frozen=True)
class Material:
    """What a review is made from: the project file and the results at hand."""

    spec: ProjectSpec
    results: Mapping[str, StepResult]

    def of(self, kind: type[R]) -> R | None:
        """Return the result of ``kind.step``, or None where the step has not run."""
        found = self.results.get(kind.step)
        return found if isinstance(found, kind) else None


@dataclass(frozen=True)
class Finding:
    """An output that exists.

    Attributes:
        text: What it says, in one sentence.
        settled: Whether a person has agreed to it.
        waived: Whether a person decided that it is not needed.
        owner: Who answers for it.
    """

    text: str
    settled: bool = False
    waived: bool = False
    owner: str = ""


def authored(items: Iterable[Authored | None], text: str) -> Finding | None:
    """Roll items that people wrote up: settled when none is a draft; None when there are none."""
    found = [item for item in items if item is not None]
    if not found:
        return None
    live = [item for item in found if item.status != "waived"]
    owners = dict.fromkeys(item.owner for item in live if item.owner)
    return Finding(
        text=text,
        settled=bool(live) and all(item.status == "agreed" for item in live),
        waived=not live,
        owner=", ".join(owners),
    )


def count(items: Sequence[object], one: str, many: str = "") -> str:
    """Return ``1 risk`` or ``3 risks``."""
    number = len(items)
    return f"{number:,} {one if number == 1 else many or one + 's'}"
