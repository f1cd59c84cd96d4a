"""MurmurHash3 (32 bit, Austin Appleby, public domain) as Spark's hash functions apply it."""

from __future__ import annotations

import struct
from typing import Any

from crisp_spark.serving.refusal import UnsupportedError

_MASK = 0xFFFFFFFF


def _mixed_key(key: int) -> int:
    key = key * 0xCC9E2D51 & _MASK
    key = (key << 15 | key >> 17) & _MASK
    return key * 0x1B873593 & _MASK


def _mixed(state: int, key: int) -> int:
    state ^= key
    state = (state << 13 | state >> 19) & _MASK
    return (state * 5 + 0xE6546B64) & _MASK


def _final(state: int, length: int) -> int:
    state ^= length
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


def hash_int(value: int, seed: int) -> int:
    """Hash a 32-bit whole number."""
    return _final(_mixed(seed & _MASK, _mixed_key(value & _MASK)), 4)


def hash_long(value: int, seed: int) -> int:
    """Hash a 64-bit whole number."""
    state = _mixed(seed & _MASK, _mixed_key(value & _MASK))
    return _final(_mixed(state, _mixed_key(value >> 32 & _MASK)), 8)


def hash_bytes(data: bytes, seed: int, *, old_tail: bool) -> int:
    """Hash bytes.

    Args:
        data: The bytes.
        seed: Start value.
        old_tail: Whether bytes beyond the last four are mixed one by one (Spark SQL's ``hash``)
            or as MurmurHash3 says (the hashing stages of Spark ML).
    """
    state, whole = seed & _MASK, len(data) - len(data) % 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        state = _mixed(state, _mixed_key(word))
    if old_tail:
        for byte in data[whole:]:
            signed = byte - 256 if byte > 127 else byte  # noqa: PLR2004
            state = _mixed(state, _mixed_key(signed & _MASK))
    elif whole < len(data):
        state ^= _mixed_key(int.from_bytes(data[whole:], "little"))
    return _final(state, len(data))


def hash_value(value: Any, kind: str, seed: int) -> int:
    """Hash a value as Spark SQL's ``hash`` does.

    Raises:
        UnsupportedError: Values of that type are not hashed here.
    """
    if kind == "string":
        return hash_bytes(value.encode(), seed, old_tail=True)
    if kind == "boolean":
        return hash_int(int(value), seed)
    if kind in ("tinyint", "smallint", "int", "date"):
        return hash_int(value, seed)
    if kind in ("bigint", "timestamp", "timestamp_ntz"):
        return hash_long(value, seed)
    if kind == "double":
        return hash_long(
            struct.unpack("<q", struct.pack("<d", value + 0.0 if value else 0.0))[0], seed
        )
    raise UnsupportedError(f"HASH of {kind}")


def bucket(term: str, buckets: int) -> int:
    """Return the place of a term in a hashed vector of Spark ML."""
    return hash_bytes(term.encode(), 42, old_tail=False) % buckets
