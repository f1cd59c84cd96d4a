"""Secrets are written down as references, never as values.

A field of type :data:`SecretRef` takes ``${env:NAME}`` or ``${secret:provider/name#field}`` and
refuses everything else without repeating it. The reference travels through dumps, hashes and
records; the value is looked up with :func:`reveal` at the place that needs it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, SecretStr
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from crisp_spark.errors import EnvironmentFaultError, UsageError

REFERENCE_PATTERN = (
    r"^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|secret:[a-z][a-z0-9_-]*/[^#{}\s]+(#[^#{}\s]+)?)\}$"
)
_REFERENCE = re.compile(REFERENCE_PATTERN)
REFERENCE_FORMS = "${env:NAME} or ${secret:aws/name#field}"
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|api_?key|access_?key", re.IGNORECASE
)

SecretFetcher = Callable[[str, str, str | None], str]
"""Looks a secret up: provider, name, field (or None) to value."""


def is_reference(text: str) -> bool:
    """Say whether ``text`` is exactly one reference to a secret."""
    return _REFERENCE.match(text) is not None


def looks_secret(name: str) -> bool:
    """Say whether a key is named as if its value should not be shown."""
    return _SECRET_NAME.search(name) is not None


class SecretReference(str):
    """A reference that stands in a secret field, where it is meant to stand."""

    __slots__ = ()


class _SecretField:
    """Pydantic's view of a reference: a text that must match, whose value is never echoed."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            checked_reference, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": REFERENCE_PATTERN}


def checked_reference(value: object) -> SecretReference:
    """Accept a reference; refuse anything else without repeating it."""
    if isinstance(value, str) and is_reference(value):
        return SecretReference(value)
    raise PydanticCustomError(
        "secret_literal",
        "a secret must be a reference ({forms}), got a literal (not shown)",
        {"forms": REFERENCE_FORMS},
    )


SecretRef = Annotated[str, _SecretField]
"""A field that holds a reference to a secret."""


def reveal(
    reference: str,
    *,
    environ: Mapping[str, str] | None = None,
    fetch: SecretFetcher | None = None,
) -> SecretStr:
    """Look up the value behind a reference; what comes back prints as stars.

    Args:
        reference: ``${env:NAME}`` or ``${secret:provider/name#field}``.
        environ: Environment to read; the process's own by default.
        fetch: Looks up ``${secret:...}``; the AWS layer supplies one.

    Raises:
        UsageError: ``reference`` is not a reference.
        EnvironmentFaultError: The variable is not set, or nothing can look the secret up.
    """
    if not is_reference(reference):
        raise UsageError("secret: not a reference (value not shown)", hint=REFERENCE_FORMS)
    kind, _, rest = reference[2:-1].partition(":")
    if kind == "env":
        value = (os.environ if environ is None else environ).get(rest)
        if value is None:
            raise EnvironmentFaultError(
                f"secret: environment variable {rest} is not set", hint=f"export {rest}=..."
            )
        return SecretStr(value)
    provider, _, path = rest.partition("/")
    name, _, field = path.partition("#")
    if fetch is None:
        raise EnvironmentFaultError(
            f"secret: nothing here can look up {reference}",
            hint="secrets of a provider are read where its client is at hand; locally use "
            "${env:NAME}",
        )
    return SecretStr(fetch(provider, name, field or None))
