"""The project's own settings."""

from __future__ import annotations

import pytest

from crisp_spark.spec.project import ProjectInfo


@pytest.mark.parametrize(
    ("declared", "rows", "partitions"),
    [(None, 0, 4), (None, 2_000_000, 4), (None, 2_000_001, 5), (None, 10**9, 2000), (2, 10**9, 2)],
)
def test_the_layout_follows_from_rows_unless_it_is_declared(declared, rows, partitions):
    project = ProjectInfo(name="p", layout_partitions=declared)
    assert project.partitions_of(rows) == partitions
