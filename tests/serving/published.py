"""Publishes bundles of the toy as `crisp deploy` lays them out."""

from __future__ import annotations

import hashlib
import json

from crisp_spark.serving.endpoint.aliases import Move, digest_of, move_key


def bundle_objects(version: str, **more) -> tuple[dict[str, bytes], str, dict[str, str]]:
    """Return the objects of a bundle, its digest and the sums of its files."""
    content = json.dumps({"version": version, **more}).encode()
    files = {"toy.json": hashlib.sha256(content).hexdigest()}
    digest = digest_of(files)
    return {f"bundles/{digest}/toy.json": content}, digest, files


def published(version: str, number: int, alias: str = "champion", **more) -> dict[str, bytes]:
    """Return the objects of a bundle and of the move that points at it."""
    objects, digest, files = bundle_objects(version, **more)
    move = Move(
        number=number,
        alias=alias,
        model="toy",
        version=version,
        digest=digest,
        files=files,
        at="2026-11-24T00:00:00+00:00",
        by="Ada",
        reason="first" if number == 1 else "next",
    )
    return objects | {move_key(alias, number): move.as_bytes()}
