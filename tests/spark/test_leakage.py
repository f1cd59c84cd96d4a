"""A column that is known only after the prediction, sneaked into real flights as if it were not."""

from __future__ import annotations

import pytest

from crisp_spark.cli.examples.nycflights import read_table
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding.profile import profile_table

COLUMNS = ("dep_delay", "distance", "hour", "origin", "carrier", "month", "day")
MEASURED = ("arr_delay", "dep_delay", "distance", "hour", "day")


@pytest.fixture
def flights(spark):
    """Every flight of one day in three of January 2013, as the raw table holds it."""
    rows = read_table("flights")
    header = next(rows)
    at = {name: header.index(name) for name in header}
    names = ("arr_delay", *COLUMNS)
    kept = [
        tuple(
            (float(row[at[name]]) if row[at[name]] else None) if name in MEASURED else row[at[name]]
            for name in names
        )
        for row in rows
        if row[at["month"]] == "1" and int(row[at["day"]]) % 3 == 0
    ]
    schema = ", ".join(f"{name} {'double' if name in MEASURED else 'string'}" for name in names)
    return spark.createDataFrame(kept, schema)


def test_delay_at_departure_is_named_when_it_is_declared_as_known(flights):
    goal = MiningGoal(
        problem="binary",
        target="late",
        target_expression="arr_delay >= 15",
        target_source="flights",
        positive=True,
    )
    declared = CsvSource(path="x.csv", columns={"arr_delay": {"known_at": "outcome"}})
    found = profile_table(flights, "flights", declared, goal)
    suspects = {suspect.column: suspect for suspect in found.suspects}
    assert set(suspects) == {"arr_delay", "dep_delay"}
    assert suspects["arr_delay"].declared
    assert not suspects["dep_delay"].declared
