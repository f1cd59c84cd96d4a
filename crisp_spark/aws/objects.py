"""Objects below a prefix of an S3 bucket, created by put-if-absent."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from crisp_spark.aws.clients import Clients, clients, error_code, translated
from crisp_spark.errors import StorageError, UnavailableError, UsageError

SCHEMES = frozenset({"s3", "s3a", "s3n"})

_GONE = frozenset({"404", "NoSuchKey", "NotFound"})
_CONFLICTS = 5
_CONFLICT_SECONDS = 0.2
_PAGE = 1000  # keys of one DeleteObjects request
_BUFFER_BYTES = 64 << 10  # a Parquet footer with its neighbours
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class S3Object:
    """One object: key below the root, size in bytes, time of writing (epoch seconds), ETag."""

    key: str
    bytes: int
    modified_s: float = 0.0
    etag: str = ""


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key`` (no percent-encoding, as S3 writes it).

    Raises:
        UsageError: Not such a URI.
    """
    parts = urlsplit(uri)
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if parts.scheme not in SCHEMES or scheme not in SCHEMES or not bucket:
        raise UsageError(f"s3: not a place in S3, got {uri!r}", hint="write s3://bucket/folder")
    return bucket, key


class S3Objects:
    """Objects named by keys with slashes below one prefix (``engine.objects.ObjectStore``).

    S3 gives all that publication needs: an object appears whole or not at all, a read after a
    write sees it, and a conditional PUT lets exactly one of several writers win.

    Args:
        location: ``s3://bucket/prefix``.
        aws: Clients; those of the environment when None.
    """

    def __init__(self, location: str, aws: Clients | None = None) -> None:
        bucket, prefix = split_uri(location)
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._aws = aws or clients()

    @property
    def root(self) -> str:
        """Root as ``s3://bucket/prefix``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        """Return what Spark opens for ``key``."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Create the object; return False, changing nothing, when it exists.

        Raises:
            UnavailableError, AccessError, StorageError: S3 did not take it.
        """
        for attempt in range(_CONFLICTS):
            try:
                with self._spoken(f"write {key}"):
                    return self._put_new(key, content)
            except _ConflictError:
                # Two conditional writes met in S3; neither is there yet.
                time.sleep(_CONFLICT_SECONDS * 2**attempt)
        raise UnavailableError(
            f"storage: {self.uri(key)} is being written by others all the time",
            hint="run the same command again",
        )

    def _put_new(self, key: str, content: bytes) -> bool:
        try:
            self._aws.s3.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=content, IfNoneMatch="*"
            )
        except ClientError as error:
            code = error_code(error)
            if code in {"ConditionalRequestConflict", "409"}:
                raise _ConflictError from error
            if code not in {"PreconditionFailed", "412"}:
                raise
            # The answer to our own first try may have been lost, and the retry found our object.
            retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            return bool(retried) and self.read(key) == content
        return True

    def upload_if_absent(self, key: str, file: Path, *, bytes_: int) -> bool:
        """Upload a file, in parts where it is large, unless an object of its size is there.

        For keys that name their content: two writers of one key write the same bytes.

        Raises:
            StorageError, AccessError, UnavailableError: S3 did not take it.
        """
        place = {"Bucket": self._bucket, "Key": self._prefix + key}
        with self._spoken(f"write {key}"):
            try:
                if self._aws.s3.head_object(**place)["ContentLength"] == bytes_:
                    return False
            except ClientError as error:
                if error_code(error) not in _GONE:
                    raise
            try:
                self._aws.s3.upload_file(
                    str(file), **place, ExtraArgs={"ChecksumAlgorithm": "SHA256"}
                )
            except S3UploadFailedError as error:
                raise _cause_of(error) from error
        return True

    def read(self, key: str) -> bytes:
        """Return the content.

        Raises:
            StorageError: There is no such object.
        """
        with self._spoken(f"read {key}"):
            answer = self._aws.s3.get_object(Bucket=self._bucket, Key=self._prefix + key)
            content: bytes = answer["Body"].read()
        return content

    def exists(self, key: str) -> bool:
        """Say whether the object exists."""
        with self._spoken(f"look for {key}"):
            try:
                self._aws.s3.head_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                if error_code(error) in _GONE:
                    return False
                raise
        return True

    def stat(self, prefix: str) -> Sequence[S3Object]:
        """Return all objects below ``prefix``, sorted by key."""
        folder = f"{self._prefix}{prefix.strip('/')}/" if prefix.strip("/") else self._prefix
        cut = len(self._prefix)
        pages = self._aws.s3.get_paginator("list_objects_v2")
        with self._spoken(f"list {prefix or 'the root'}"):
            found = [
                S3Object(item["Key"][cut:], item["Size"], _seconds(item), item["ETag"].strip('"'))
                for page in pages.paginate(Bucket=self._bucket, Prefix=folder)
                for item in page.get("Contents", [])
                if not item["Key"].endswith("/")  # how Hadoop marks an empty folder
            ]
        return sorted(found, key=lambda item: item.key)

    def delete_tree(self, prefix: str) -> None:
        """Delete everything below ``prefix``."""
        keys = [self._prefix + item.key for item in self.stat(prefix)]
        for start in range(0, len(keys), _PAGE):
            batch = [{"Key": key} for key in keys[start : start + _PAGE]]
            with self._spoken(f"delete {prefix}"):
                answer = self._aws.s3.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise StorageError(
                    f"storage: cannot delete {first.get('Key')} ({first.get('Code')})",
                    hint="the role or user needs s3:DeleteObject on the workspace",
                )

    def open(self, key: str) -> IO[bytes]:
        """Open the object for reading from any position; only the pieces that are read are fetched.

        Made for footers: reading it whole costs a request per 64 KiB.
        """
        with self._spoken(f"read {key}"):
            answer = self._aws.s3.head_object(Bucket=self._bucket, Key=self._prefix + key)
        return io.BufferedReader(_Ranges(self, key, answer["ContentLength"]), _BUFFER_BYTES)

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of the content: S3's own where the writer asked for one, else read."""
        with self._spoken(f"read {key}"):
            answer = self._aws.s3.head_object(
                Bucket=self._bucket, Key=self._prefix + key, ChecksumMode="ENABLED"
            )
            known = answer.get("ChecksumSHA256", "")
            # Of an object in several parts (a number stands behind a dash) it is the parts' sums'.
            if known and "-" not in known and "-" not in answer["ETag"]:
                return base64.b64decode(known).hex()
            content = hashlib.sha256()
            body = self._aws.s3.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                content.update(chunk)
        return content.hexdigest()

    def read_range(self, key: str, start: int, size: int) -> bytes:
        """Return ``size`` bytes from ``start``; fewer at the end."""
        with self._spoken(f"read {key}"):
            answer = self._aws.s3.get_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Range=f"bytes={start}-{start + size - 1}",
            )
            content: bytes = answer["Body"].read()
        return content

    @contextmanager
    def _spoken(self, what: str) -> Iterator[None]:
        place = f"storage: cannot {what} below {self.root}"
        with translated(place):
            try:
                yield
            except ClientError as error:
                if error_code(error) not in _GONE:
                    raise
                raise StorageError(
                    f"{place} (no such object)",
                    hint="was the workspace moved or cleaned while it was in use?",
                ) from error


def _cause_of(error: S3UploadFailedError) -> Exception:
    """Return the client's error inside an upload's, so that it is told like any other."""
    cause = error.__cause__ or error.__context__
    return cause if isinstance(cause, ClientError) else UnavailableError(f"storage: {error}")


class _ConflictError(Exception):
    """S3 saw two conditional writes of one key at the same moment."""


class _Ranges(io.RawIOBase):
    """An object as a file that can seek."""

    def __init__(self, objects: S3Objects, key: str, size: int) -> None:
        super().__init__()
        self._objects = objects
        self._key = key
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        content = self._objects.read_range(self._key, self._position, wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _seconds(item: dict[str, Any]) -> float:
    written = item["LastModified"]
    return written.timestamp() if isinstance(written, datetime) else 0.0
