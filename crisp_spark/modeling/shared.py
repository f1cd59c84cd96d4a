"""What every fold asks for first is measured for all folds in the same jobs.

Before anything is fitted, the columns of all folds are defined by the same SQL, and the same is
asked of them; only the rows differ. From its first fitted value on, a fold is measured alone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.ml.feature import SQLTransformer
from pyspark.sql import functions as F

from crisp_spark.modeling.statistics import Requests, Statistics, Targets, measure_sets

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SETS = "_crisp_sets"
_Key = tuple[object, ...]


@dataclass
class SharedStatistics:
    """Measures sets of rows together; safe to ask from several threads.

    Attributes:
        rows: Rows that the sets are taken from.
        sets: Condition of the rows of each set.
        targets: The label of each set.
    """

    rows: DataFrame
    sets: Mapping[int, Column]
    targets: Mapping[int, Targets]
    _known: dict[_Key, Mapping[int, Statistics]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def measure(self, one: int, statements: Sequence[str], requests: Requests) -> Statistics | None:
        """Answer what a set asks; None where it has no rows.

        Args:
            one: The set that asks; all sets whose label has parts of the same kind are measured.
            statements: SQL that adds the columns asked about, of a SQLTransformer.
            requests: What is asked.
        """
        part = self.targets[one].part
        groups = tuple((key, tuple(sqls)) for key, sqls in requests.groups.items())
        asked = tuple(requests.scalars), tuple(requests.categories), groups
        name = (part, tuple(statements), asked)
        with self._lock:
            if name not in self._known:
                alike = {at: own for at, own in self.targets.items() if own.part == part}
                self._known[name] = self._measured(alike, statements, requests)
            return self._known[name].get(one)

    def _measured(
        self, alike: Mapping[int, Targets], statements: Sequence[str], requests: Requests
    ) -> dict[int, Statistics]:
        places = (F.when(self.sets[at], F.lit(at)) for at in alike)
        frame = self.rows.withColumn(_SETS, F.array_compact(F.array(*places)))
        for statement in statements:
            frame = SQLTransformer(statement=statement).transform(frame)
        return measure_sets(frame, _SETS, requests, alike)


@dataclass(frozen=True)
class SharedSet:
    """One of the sets that are measured together.

    Attributes:
        statistics: All of them.
        number: This one.
    """

    statistics: SharedStatistics
    number: int

    def measure(self, statements: Sequence[str], requests: Requests) -> Statistics | None:
        """Answer what is asked of this set; None where it has no rows."""
        return self.statistics.measure(self.number, statements, requests)
