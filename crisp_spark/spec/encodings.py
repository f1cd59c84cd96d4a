"""Encodings of text files: which can be read line by line, and which as whole documents."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_BYTES = 256

MULTILINE_ENCODINGS: dict[str, str] = {
    "utf-8": "UTF-8",
    "ascii": "US-ASCII",
    "iso8859-1": "ISO-8859-1",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32": "UTF-32",
}
"""Encodings that Spark's own readers take, by Python's name."""


def single_byte_signs(encoding: str) -> str:
    """Return the characters of bytes 128 to 255; empty where a byte is not a character.

    Undefined bytes become U+FFFD.
    """
    every = bytes(range(_BYTES)).decode(encoding, errors="replace")
    plain = every[:128] == bytes(range(128)).decode("ascii")
    # Broken off alone, each of these bytes becomes one sign in UTF-8, too.
    single = plain and len(every) == _BYTES and not encoding.startswith(("utf", "iso2022"))
    return every[128:] if single else ""


def _known_encoding(name: str) -> str:
    try:
        b"a".decode(name, "replace")  # refuses codecs that do not make text
        return codecs.lookup(name).name.removesuffix("-sig")
    except (LookupError, ValueError) as error:
        raise PydanticCustomError("encoding", "no encoding {name}", {"name": repr(name)}) from error


Encoding = Annotated[str, BeforeValidator(lambda value: _known_encoding(str(value)))]
"""An encoding by any of its names, kept as Python's."""
