"""Canonical layout of training rows: the machine's shape never changes a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

HASH_RANGE = 1_000_000


def row_hash(frame: DataFrame, key: Sequence[str], seed: int) -> Column:
    """Return a hash of the key (of all plain columns without one): the same for the same row."""
    names = list(key) or [
        field.name
        for field in frame.schema.fields
        if not isinstance(field.dataType, T.MapType | T.ArrayType | T.StructType)
    ]
    return F.xxhash64(F.lit(seed), *(F.col(quoted(name)) for name in names))


def laid_out(frame: DataFrame, key: Sequence[str], partitions: int, seed: int) -> DataFrame:
    """Put rows into a fixed number of partitions and a fixed, shuffled order.

    Partition and order follow from a hash of the key alone, so that neither the number of cores,
    nor input files, nor shuffle partitions changes what a learner sees. Rows of one key are
    ordered by all their plain columns.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: none.
    """
    plain = [
        F.col(quoted(field.name))
        for field in frame.schema.fields
        if not isinstance(field.dataType, T.MapType | T.ArrayType | T.StructType)
    ]
    hashed = row_hash(frame, key, seed)
    ties = F.xxhash64(F.lit(seed), *plain) if plain else F.lit(0)
    return frame.repartition(partitions, hashed).sortWithinPartitions(hashed, ties)


def sampled(frame: DataFrame, share: float, key: Sequence[str], seed: int) -> DataFrame:
    """Keep a share of the rows, chosen by a hash of the key.

    Rows: about ``share``. Adds: nothing. Drops: nothing. Jobs: none.
    """
    if share >= 1:
        return frame
    drawn = F.pmod(row_hash(frame, key, seed), F.lit(HASH_RANGE))
    return frame.where(drawn < int(share * HASH_RANGE))
