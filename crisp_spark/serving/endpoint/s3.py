"""The few calls of S3 that an endpoint makes: read, list, write."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit

from crisp_spark.errors import AccessError, StorageError, UnavailableError, UsageError
from crisp_spark.serving.endpoint.sigv4 import (
    Credentials,
    key_path,
    query_text,
    signed_headers,
)

_ATTEMPTS = 3
_NOT_FOUND, _FORBIDDEN, _BUSY, _SERVER = 404, (401, 403), 429, 500
_EXPIRES_SOON = 300.0
_CONTAINER_HOST = "http://169.254.170.2"
_MACHINE_HOST = "169.254.169.254"
_LISTED = re.compile(r"<Key>([^<]*)</Key>")


@dataclass(frozen=True)
class Got:
    """An answer of S3."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3:
    """Objects in S3, with the credentials of the environment, the container or the machine.

    Args:
        region: Region; ``AWS_REGION`` or ``AWS_DEFAULT_REGION`` when empty.
        endpoint: Address instead of AWS's, such as ``http://127.0.0.1:5000``;
            ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` when empty.
        seconds: Longest time of one call.
        pause: Waits before the next try.
    """

    def __init__(
        self,
        *,
        region: str = "",
        endpoint: str = "",
        seconds: float = 10.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        env = os.environ
        self._region = (
            region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        )
        self._endpoint = (
            endpoint or env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or ""
        ).rstrip("/")
        self._seconds = seconds
        self._pause = pause
        self._credentials: Credentials | None = None

    def read(self, uri: str, *, most: int | None = None) -> bytes:
        """Return an object.

        Args:
            uri: ``s3://bucket/key``.
            most: Largest size that is taken.

        Raises:
            StorageError: There is none, or it is too large.
            AccessError, UnavailableError: S3 does not give it.
        """
        got = self._call("GET", uri, most=most)
        if got.status == _NOT_FOUND:
            raise StorageError(f"s3: there is no object {uri}")
        return got.body

    def keys_after(self, uri: str, after: str = "") -> list[str]:
        """Return the keys below a folder, in order, that follow the key ``after``."""
        bucket, prefix = split_uri(uri)
        query = {"list-type": "2", "prefix": prefix.rstrip("/") + "/", "encoding-type": "url"}
        if after:
            query["start-after"] = after
        got = self._call("GET", f"s3://{bucket}/", query=query)
        if got.status == _NOT_FOUND:
            raise StorageError(f"s3: there is no bucket {bucket}")
        text = got.body.decode()
        return sorted(unquote(unescape(key)) for key in _LISTED.findall(text))

    def write(self, uri: str, content: bytes) -> None:
        """Write an object, in the place of one that is there."""
        got = self._call("PUT", uri, body=content)
        if got.status == _NOT_FOUND:
            raise StorageError(f"s3: there is no bucket for {uri}")

    def _call(
        self,
        method: str,
        uri: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        most: int | None = None,
    ) -> Got:
        trouble = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(0.2 * 4 ** (attempt - 1))
            try:
                got = self._send(method, uri, query or {}, body, most)
            except (OSError, http.client.HTTPException) as error:
                trouble = type(error).__name__
                continue
            if got.status in _FORBIDDEN:
                raise AccessError(f"s3: no permission to {method} {uri} ({got.status})")
            if got.status < _SERVER and got.status != _BUSY:
                if got.status >= 400 and got.status != _NOT_FOUND:  # noqa: PLR2004
                    raise StorageError(f"s3: cannot {method} {uri} ({got.status})")
                return got
            trouble = f"status {got.status}"
        raise UnavailableError(f"s3: cannot {method} {uri} ({trouble}, {_ATTEMPTS} tries)")

    def _send(
        self, method: str, uri: str, query: Mapping[str, str], body: bytes, most: int | None
    ) -> Got:
        bucket, key = split_uri(uri)
        if self._endpoint:
            parts = urlsplit(self._endpoint)
            host, secure = parts.netloc, parts.scheme == "https"
            path = f"{parts.path}/{key_path(bucket)}/{key_path(key)}"
        elif "." in bucket:  # no certificate covers its own host
            host, secure = f"s3.{self._region}.amazonaws.com", True
            path = f"/{key_path(bucket)}/{key_path(key)}"
        else:
            host, secure = f"{bucket}.s3.{self._region}.amazonaws.com", True
            path = f"/{key_path(key)}"
        headers = signed_headers(
            method,
            host,
            path,
            query,
            headers={},
            body=body,
            credentials=self._signer(),
            region=self._region,
            at=datetime.now(UTC),
        )
        address = f"{path}?{query_text(query)}" if query else path
        connection = _connected(host, secure=secure, seconds=self._seconds)
        try:
            connection.request(method, address, body=body or None, headers=headers)
            answer = connection.getresponse()
            size = int(answer.headers.get("Content-Length") or 0)
            if most is not None and size > most:
                raise StorageError(f"s3: {uri} has {size} bytes, at most {most} are taken")
            content = answer.read()
            if len(content) < size and method != "HEAD":
                raise http.client.IncompleteRead(content, size)
            return Got(answer.status, dict(answer.headers), content)
        finally:
            connection.close()

    def _signer(self) -> Credentials:
        known = self._credentials
        if known is None or (
            known.expires_at is not None and known.expires_at - time.time() < _EXPIRES_SOON
        ):
            self._credentials = known = find_credentials()
        return known


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``.

    Raises:
        UsageError: It is no such URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in {"s3", "s3a"} or not bucket:
        raise UsageError(f"s3: not a place in S3, got {uri!r}", hint="write s3://bucket/key")
    return bucket, key


def find_credentials() -> Credentials:
    """Return the credentials of the environment, of the container's role or of the machine's.

    Raises:
        AccessError: There are none.
    """
    env = os.environ
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(
            env["AWS_ACCESS_KEY_ID"],
            env["AWS_SECRET_ACCESS_KEY"],
            env.get("AWS_SESSION_TOKEN", ""),
        )
    try:
        if relative := env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
            found = _asked(urlsplit(_CONTAINER_HOST).netloc, relative)
        elif env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise AccessError("s3: there are no credentials in the environment")
        else:
            found = _of_machine()
        expires = datetime.fromisoformat(found["Expiration"]).timestamp()
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise AccessError(
            f"s3: there are no credentials ({type(error).__name__})",
            hint="give the function, task or machine a role",
        ) from error


def _of_machine() -> dict[str, Any]:
    """Ask the machine's metadata service, version 2."""
    connection = http.client.HTTPConnection(_MACHINE_HOST, timeout=2.0)
    age = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
    connection.request("PUT", "/latest/api/token", headers=age)
    token = {"X-aws-ec2-metadata-token": connection.getresponse().read().decode()}
    place = "/latest/meta-data/iam/security-credentials/"
    connection.request("GET", place, headers=token)
    role = connection.getresponse().read().decode().splitlines()[0]
    return _asked(_MACHINE_HOST, place + role, token)


def _asked(host: str, path: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, timeout=2.0)
    connection.request("GET", path, headers=dict(headers or {}))
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


def _connected(host: str, *, secure: bool, seconds: float) -> http.client.HTTPConnection:
    if secure:
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, timeout=seconds, context=context)
    return http.client.HTTPConnection(host, timeout=seconds)
