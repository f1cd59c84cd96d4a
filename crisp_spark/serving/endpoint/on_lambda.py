"""AWS Lambda: function URLs, API Gateway, load balancers, direct calls, and files in S3."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote_plus

from crisp_spark.errors import UnavailableError, UsageError
from crisp_spark.serving.endpoint.faults import refused
from crisp_spark.serving.endpoint.files import score_file
from crisp_spark.serving.endpoint.holding import Load, Settings, open_endpoint, settings_of
from crisp_spark.serving.endpoint.reading import FORMS, JSON
from crisp_spark.serving.endpoint.rendering import encoded
from crisp_spark.serving.endpoint.s3 import S3
from crisp_spark.serving.endpoint.service import Endpoint, Reply, Request

LARGEST_ANSWER = 6_000_000
"""Bytes of an answer that Lambda passes on."""

_LARGEST_FILE = 100 << 20
_SPARE_SECONDS = 0.5

Event = Mapping[str, Any]
Handler = Callable[[Event, Any], Any]


class Context(Protocol):
    """What Lambda says about a call."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        ...


class RefusedError(Exception):
    """A direct call that cannot be answered; its text is the JSON of the fault."""


def start(load: Load, *, model: str) -> Handler:
    """Load the model and return the function's handler.

    Called when Lambda imports the function: a model that is missing or damaged ends the start
    with its reason.

    Args:
        load: Loads a bundle's folder.
        model: Folder of the bundle in the package, unless the environment names another place.

    Raises:
        CrispError: There is no sound model.
    """
    settings = settings_of(os.environ, stage="lambda", model=model)
    endpoint = open_endpoint(settings, load)
    return lambda event, context: answer_event(endpoint, settings, event, context)


def answer_event(endpoint: Endpoint, settings: Settings, event: Event, context: Context) -> Any:
    """Answer one event, whatever sent it.

    Raises:
        RefusedError: A direct call cannot be answered.
        CrispError: A file cannot be scored; Lambda tries again.
    """
    if "Records" in event:
        places = [_place_of(record) for record in event["Records"]]
        return _score_files(endpoint, settings, places, context)
    if event.get("detail-type") == "Object Created":  # S3 by way of EventBridge
        detail = event["detail"]
        place = f"s3://{detail['bucket']['name']}/{detail['object']['key']}"
        return _score_files(endpoint, settings, [place], context)
    if "requestContext" in event:
        return _answer_http(endpoint, event, context)
    if any(name in event for name in FORMS):
        return _answer_direct(endpoint, event, context)
    raise RefusedError(
        encoded(
            {
                "error_code": "UNKNOWN_EVENT",
                "message": "send a request by HTTP, an event of S3, or an object with one of "
                + ", ".join(FORMS),
            }
        ).decode()
    )


def _answer_direct(endpoint: Endpoint, event: Event, context: Context) -> Any:
    reply = endpoint.handle(
        Request("POST", "/invocations", encoded(event), JSON, context.aws_request_id),
        seconds=_seconds_left(context),
    )
    if reply.status != 200:  # noqa: PLR2004
        raise RefusedError(reply.body.decode())
    return json.loads(reply.body)


def _answer_http(endpoint: Endpoint, event: Event, context: Context) -> dict[str, Any]:
    about = event["requestContext"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    if "http" in about:  # function URL, HTTP API
        method, path = about["http"]["method"], event.get("rawPath") or about["http"]["path"]
        stage = about.get("stage", "$default")
        if stage != "$default":
            path = path.removeprefix(f"/{stage}")
    else:  # REST API, load balancer
        method, path = event["httpMethod"], event["path"]
    body = _body(event)
    if body is None:
        message = {"error_code": "MALFORMED_BODY", "message": "the body is no Base64"}
        reply = Reply(400, encoded(message))
    else:
        reply = endpoint.handle(
            Request(method, path, body, headers.get("content-type", JSON), context.aws_request_id),
            seconds=_seconds_left(context),
        )
    if len(reply.body) > LARGEST_ANSWER:
        fault = refused(413, "TOO_LARGE", "the answer is too large; send fewer rows at once")
        reply = Reply(fault.status, encoded(fault.as_json()), headers=reply.headers)
    return {
        "statusCode": reply.status,
        "headers": {"Content-Type": reply.content_type, **reply.headers},
        "body": "" if method == "HEAD" else reply.body.decode(),
        "isBase64Encoded": False,
    }


def _body(event: Event) -> bytes | None:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "replace")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _seconds_left(context: Context) -> float:
    return max(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS, 0.1)


def _score_files(
    endpoint: Endpoint, settings: Settings, places: Sequence[str], context: Context
) -> list[Any]:
    if not settings.output:
        raise UsageError("CRISP_OUTPUT: a place such as s3://bucket/scored is needed for files")
    output = settings.output.rstrip("/")
    for place in places:
        if place.startswith(f"{output}/"):
            raise UsageError(
                f"score: {place} lies below CRISP_OUTPUT",
                hint="the function would be called by what it writes; use another prefix",
            )
    s3 = S3()
    return [_score_one(endpoint, s3, place, output, context) for place in places]


def _place_of(record: Event) -> str:
    try:
        stored = record["s3"]
        return f"s3://{stored['bucket']['name']}/{unquote_plus(stored['object']['key'])}"
    except (KeyError, TypeError) as error:
        raise UsageError("score: a record is no event of S3") from error


def _score_one(
    endpoint: Endpoint, s3: S3, place: str, output: str, context: Context
) -> dict[str, Any]:
    """Score one file; the same file again gives the same objects, and the summary comes last."""
    content = s3.read(place, most=_LARGEST_FILE)
    done = score_file(content, place, endpoint.answers, on_chunk=lambda: _in_time(context))
    name = place.split("/", 3)[3]
    for kind, lines in (("scored", done.scored), ("rejected", done.rejected)):
        s3.write(f"{output}/{name}.{kind}.jsonl", b"".join(line + b"\n" for line in lines))
    s3.write(f"{output}/{name}.summary.json", done.summary_bytes())
    return vars(done.summary)


def _in_time(context: Context) -> None:
    if context.get_remaining_time_in_millis() < 2000:  # noqa: PLR2004 - answers must be written
        raise UnavailableError(
            "score: the file is too large for the time that is left",
            hint="raise the time-out, or score it with `crisp score`",
        )
