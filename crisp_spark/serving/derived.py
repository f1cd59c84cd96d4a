"""The stage of derived columns: expressions, row by row or on whole columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crisp_spark.serving.batch import Arrays, Batch, Layout, Spec, Stage
from crisp_spark.serving.columns import FEW, ColumnRun, GiveUpError
from crisp_spark.serving.expressions import compile_expression
from crisp_spark.serving.nodes import Node, Run
from crisp_spark.serving.refusal import RowError, RowsRefusedError


class _Derived:
    """A column from an expression, for many rows.

    Args:
        slot: Its place in a row.
        tree: The expression.
        before: Columns that it may use.
    """

    def __init__(self, slot: int, tree: Node, before: Mapping[str, int]) -> None:
        self.slot = slot
        self.tree = tree
        self.before = before
        # Compiled when many rows are first there.
        self.on_columns: ColumnRun | None = None

    def at_once(self, batch: Batch) -> bool:
        """Set the column for all rows together; False where some of them may be refused."""
        if self.on_columns is None:
            # Only when it is needed: a cold start with one row shall not wait for it.
            from crisp_spark.serving.vectorized import compile_columns

            self.on_columns = compile_columns(self.tree, self.before)
        everywhere = np.ones(len(batch), dtype=np.bool_)
        try:
            column = self.on_columns(batch.frame, everywhere)
        except (GiveUpError, RowError):
            return False
        batch.frame.write(self.slot, column)
        return True


def sql(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    """Columns from expressions; all of them see the columns before the stage."""
    before = dict(layout.slots)
    columns = []
    for column in spec["columns"]:
        run = compile_expression(column["tree"], before)
        slot, says = layout.value(column["name"]), column.get("says") or column["name"]
        columns.append((slot, run, says, _Derived(slot, column["tree"], before)))
    plain = [(slot, run) for slot, run, _, _ in columns]

    def apply(batch: Batch) -> None:
        many = len(batch) >= FEW
        if not many and _filled(batch.rows, plain):
            return
        refused: dict[int, str] = {}
        rows = batch.rows
        for slot, run, says, derived in columns:
            if many:
                if derived.at_once(batch):
                    continue
                rows = batch.rows
            for at, row in enumerate(rows):
                try:
                    row[slot] = run(row)
                except RowError as error:
                    row[slot] = None
                    refused.setdefault(at, f"cannot be derived from this row: {says} ({error})")
        if refused:
            raise RowsRefusedError(refused)

    return apply


def _filled(rows: list[list[Any]], columns: list[tuple[int, Run]]) -> bool:
    """Derive columns row by row; False where one refuses, and reasons must be looked for."""
    try:
        for row in rows:
            for slot, run in columns:
                row[slot] = run(row)
    except RowError:
        return False
    return True
