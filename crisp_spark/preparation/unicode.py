"""Unicode normal forms. Spark has no built-in for them, so this is the one vectorised UDF."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

Form = Literal["NFC", "NFKC", "NFD", "NFKD"]


def normal_text(text: str, form: Form, *, strip_accents: bool = False) -> str:
    """Return ``text`` in a normal form, without combining marks where asked."""
    if text.isascii():
        return text
    if strip_accents:
        apart = unicodedata.normalize("NFKD" if "K" in form else "NFD", text)
        text = "".join(sign for sign in apart if not unicodedata.combining(sign))
    return unicodedata.normalize(form, text)


def with_normal_form(text: Column, form: Form, *, strip_accents: bool) -> Column:
    """Return ``text`` in a normal form.

    Rows: unchanged. Adds: nothing. Drops: nothing. Jobs: none.
    """

    def normal(values: pd.Series) -> pd.Series:
        return values.map(
            lambda value: (
                None if value is None else normal_text(value, form, strip_accents=strip_accents)
            )
        )

    made: Column = pandas_udf(normal, T.StringType())(text)  # type: ignore[call-overload]
    return made
