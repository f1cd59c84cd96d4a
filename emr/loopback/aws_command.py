"""The little of the ``aws`` command that node scripts use: ``aws s3 cp FROM TO [--recursive]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

_COPY = 2


def main(arguments: Sequence[str]) -> int:
    """Copy an object, or all objects below a prefix, from or to S3."""
    words = [word for word in arguments if not word.startswith("--")]
    flags = {word for word in arguments if word.startswith("--")}
    known = {"--only-show-errors", "--quiet", "--no-progress", "--recursive"}
    if words[:2] != ["s3", "cp"] or len(words[2:]) != _COPY or flags - known:
        sys.stderr.write(f"aws: not modelled here: {' '.join(arguments)}\n")
        return 252
    s3 = boto3.client("s3")
    source, target = words[2:]
    try:
        if source.startswith("s3://"):
            _download(s3, source, target, recursive="--recursive" in flags)
        else:
            parts = urlsplit(target)
            key = parts.path.lstrip("/")
            named = key + Path(source).name if key[-1:] in {"", "/"} else key
            s3.upload_file(source, parts.netloc, named)
    except Exception as error:  # noqa: BLE001  # as the real command: a line, and exit code 1
        sys.stderr.write(f"fatal error: {error}\n")
        return 1
    return 0


def _download(s3: Any, source: str, target: str, *, recursive: bool) -> None:
    parts = urlsplit(source)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if target == "-":
        sys.stdout.buffer.write(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return
    place = Path(target)
    if not recursive:
        file = place / Path(key).name if place.is_dir() or target.endswith("/") else place
        file.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(file))
        return
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        for found in page.get("Contents", ()):
            file = place / found["Key"][len(key) :].lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, found["Key"], str(file))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
