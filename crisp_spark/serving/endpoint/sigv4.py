"""Signed requests to S3 with the standard library: a cold start has no time to import an SDK.

Signature version 4 as AWS documents it; a test holds it against botocore's signer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

_SERVICE, _ALGORITHM = "s3", "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Who signs.

    Attributes:
        access_key: Id of the key.
        secret_key: The secret.
        token: Token of a session; empty for a user's key.
        expires_at: When they end, in seconds since the epoch; None where they do not.
    """

    access_key: str
    secret_key: str
    token: str = ""
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key[:4]}...)"


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    region: str,
    at: datetime,
) -> dict[str, str]:
    """Return the headers of a signed request, those given among them.

    Args:
        method: HTTP method.
        host: Host, with the port where it is not the usual one.
        path: Path, escaped as it is sent.
        query: Parameters, not escaped.
        headers: Headers that are signed too.
        body: Body.
        credentials: Who signs.
        region: Region of the bucket.
        at: Time of the request, in UTC.
    """
    moment, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value.strip() for name, value in headers.items()} | {
        "host": host,
        "x-amz-content-sha256": digest,
        "x-amz-date": moment,
    }
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            path,
            query_text(query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{day}/{region}/{_SERVICE}/aws4_request"
    text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, _SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


def query_text(query: Mapping[str, str]) -> str:
    """Return parameters in canonical order, escaped."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(text, safe="-_.~")) for name, text in query.items()
    )
    return "&".join(f"{name}={text}" for name, text in pairs)


def key_path(key: str) -> str:
    """Return a key as it stands in a path, escaped."""
    return quote(key, safe="-_.~/")
