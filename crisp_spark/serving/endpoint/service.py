"""An endpoint without a server: a request in, an answer out. Lambda and HTTP both stand on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4

from crisp_spark import __version__
from crisp_spark.errors import CrispError
from crisp_spark.serving.endpoint.checking import checked_columns
from crisp_spark.serving.endpoint.explaining import METHOD, Explanation, explain_rows
from crisp_spark.serving.endpoint.faults import RequestError, refused
from crisp_spark.serving.endpoint.openapi import openapi_of, signature_of
from crisp_spark.serving.endpoint.reading import JSON, Limits, Rows, read_rows
from crisp_spark.serving.endpoint.rendering import encoded, identity_of, rendered_answers
from crisp_spark.serving.endpoint.shadow import Answered, Shadow
from crisp_spark.serving.endpoint.signature import Model, RowAnswer
from crisp_spark.serving.endpoint.telemetry import (
    Counters,
    Served,
    emf_line,
    fault_line,
    to_stdout,
)

ROUTES: Mapping[str, str] = {
    "/ping": "GET",
    "/health": "GET",
    "/version": "GET",
    "/metadata": "GET",
    "/metrics": "GET",
    "/openapi.json": "GET",
    "/invocations": "POST",
    "/explain": "POST",
}
_CHUNK = 512
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OK, _UNAVAILABLE, _TIMEOUT, _BUG = 200, 503, 504, 500


class Holder(Protocol):
    """Holds the model that answers at the moment."""

    @property
    def trouble(self) -> str:
        """Why a newer model could not be taken; empty where there is none."""
        ...

    def current(self) -> Model:
        """Return the model; a moved alias is followed here."""
        ...


@dataclass(frozen=True)
class Request:
    """A request, however it came.

    Attributes:
        method: HTTP method.
        path: Path without the query.
        body: Body.
        content_type: Its kind.
        request_id: Id that the sender gave; one is made where it is empty or odd.
    """

    method: str
    path: str
    body: bytes = b""
    content_type: str = JSON
    request_id: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        body: Body.
        content_type: Its kind.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Tally:
    """Rows of a request by who answered."""

    rows: int = 0
    fallback_rows: int = 0
    unanswered_rows: int = 0
    positive_rows: int = 0

    def add(self, answers: Sequence[RowAnswer]) -> None:
        self.rows += len(answers)
        self.fallback_rows += sum(one.answered_by == "fallback" for one in answers)
        self.unanswered_rows += sum(one.answered_by is None for one in answers)
        self.positive_rows += sum(one.decision is True for one in answers)


class Endpoint:
    """Answers requests with the model of a holder.

    Args:
        holder: Where the model is.
        limits: What one request may cost.
        stage: Where it runs, for metrics: ``lambda``, ``container``, ``local``.
        log: Takes one line for each request; standard output, as Lambda and containers want.
        shadow: Scores the same requests by another model, which nobody waits for.
    """

    def __init__(
        self,
        holder: Holder,
        *,
        limits: Limits | None = None,
        stage: str = "local",
        log: Callable[[str], Any] | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self._holder = holder
        self.limits = limits or Limits()
        self._stage = stage
        self._log = log or to_stdout
        self._counters = Counters()
        self._shadow = shadow
        self._cold = True

    def handle(self, request: Request, *, seconds: float | None = None) -> Reply:
        """Answer a request; whatever happens, there is an answer.

        Args:
            request: The request.
            seconds: Time that is left for it, where less than the limit.
        """
        started = time.monotonic()
        until = started + min(self.limits.seconds, seconds or self.limits.seconds)
        given = request.request_id
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        tally = _Tally()
        try:
            reply = self._routed(replace(request, request_id=request_id), tally, until)
        except RequestError as error:
            reply = Reply(error.status, encoded(error.as_json()))
        except CrispError as error:
            self._log_bug(request_id)
            reply = _failed(_UNAVAILABLE, "MODEL_UNAVAILABLE", type(error).__name__)
        except Exception:  # noqa: BLE001 - the last line of defence; the log has the trace
            self._log_bug(request_id)
            reply = _failed(_BUG, "INTERNAL", f"look for request {request_id} in the log")
        self._count(request, reply, request_id, tally, (time.monotonic() - started) * 1000)
        return Reply(
            reply.status,
            reply.body,
            reply.content_type,
            {**reply.headers, "X-Request-Id": request_id},
        )

    def answers(self, rows: Rows, *, deadline: float | None = None) -> list[dict[str, Any]]:
        """Answer rows that have been read already.

        Raises:
            RequestError: The rows do not fit the signature, or time is up.
        """
        until = time.monotonic() + self.limits.seconds if deadline is None else deadline
        return self._answered(self._holder.current(), rows, _Tally(), until)

    def _routed(self, request: Request, tally: _Tally, deadline: float) -> Reply:
        path = request.path.rstrip("/") or "/"
        method = ROUTES.get(path)
        if method is None:
            raise refused(404, "NOT_FOUND", f"the paths are {', '.join(ROUTES)}")
        if request.method != method and not (method == "GET" and request.method == "HEAD"):
            body = encoded({"error_code": "WRONG_METHOD", "message": f"{path} takes {method}"})
            return Reply(405, body, headers={"Allow": method})
        if path == "/invocations":
            return self._invocation(request, tally, deadline)
        if path == "/explain":
            return self._explanation(request, tally, deadline)
        return self._told(path)

    def _told(self, path: str) -> Reply:
        model = self._holder.current()
        identity = identity_of(model.identity)
        if path == "/metrics":
            labels = {name: str(identity[name]) for name in ("name", "version", "digest")}
            text = self._counters.as_text(labels)
            if self._shadow is not None:
                text += self._shadow.as_text()
            return Reply(_OK, text.encode(), "text/plain; version=0.0.4; charset=utf-8")
        content: dict[str, Any] = {"status": "ok"}
        if path == "/health":
            content |= {"model": identity, "trouble": self._holder.trouble}
            if self._shadow is not None:
                content["shadow"] = self._shadow.state()
        elif path == "/version":
            content = {"crisp_spark": __version__, "model": identity}
        elif path == "/metadata":
            content = {"model": identity, "signature": signature_of(model)}
        elif path == "/openapi.json":
            content = openapi_of(model, self.limits)
        return Reply(_OK, encoded(content))

    def _invocation(self, request: Request, tally: _Tally, deadline: float) -> Reply:
        rows = read_rows(request.body, request.content_type, self.limits)
        model = self._holder.current()
        told = self._answered(model, rows, tally, deadline)
        identity = model.identity
        if self._shadow is not None:
            size = len(request.body)
            self._shadow.offer(Answered(rows, told, identity, request.request_id, size))
        named = {"name": identity.name, "version": identity.version, "digest": identity.digest}
        return Reply(_OK, encoded({"predictions": told, "model": named}))

    def _answered(
        self, model: Model, rows: Rows, tally: _Tally, deadline: float
    ) -> list[dict[str, Any]]:
        columns = checked_columns(rows, model.fields)
        told: list[dict[str, Any]] = []
        for start in range(0, rows.count, _CHUNK):
            part = {name: values[start : start + _CHUNK] for name, values in columns.items()}
            size = min(_CHUNK, rows.count - start)
            _in_time(deadline)
            answers = self._model_or_rule(model, part, size)
            if len(answers) != size:
                raise AssertionError(f"{size} rows, {len(answers)} answers")
            tally.add(answers)
            told += rendered_answers(answers, part, model.fields)
        return told

    def _model_or_rule(
        self, model: Model, columns: Mapping[str, Sequence[Any]], rows: int
    ) -> Sequence[RowAnswer]:
        try:
            return model.answers(columns, rows)
        except Exception:
            answers = model.stand_in(columns, rows)
            if answers is None:
                raise
            self._log_bug("")
            return answers

    def _explanation(self, request: Request, tally: _Tally, deadline: float) -> Reply:
        model = self._holder.current()
        if model.identity.problem not in {"binary", "multiclass", "regression"}:
            raise refused(422, "NO_EXPLANATION", f"{model.identity.problem} has no score")
        rows = read_rows(request.body, request.content_type, self.limits)
        if rows.count > self.limits.explained_rows:
            most = self.limits.explained_rows
            raise refused(413, "TOO_MANY_ROWS", f"at most {most} rows are explained at once")
        columns = checked_columns(rows, model.fields)
        told = []
        for number in range(rows.count):
            _in_time(deadline)
            part = {name: [values[number]] for name, values in columns.items()}
            one = self._explained(model, part)
            tally.add([one.answer])
            (answer,) = rendered_answers([one.answer], part, model.fields)
            told.append(
                answer
                | {
                    "explained_score": one.score,
                    "base_score": one.base,
                    "contributions": one.contributions,
                }
            )
        return Reply(_OK, encoded({"explanations": told, "method": METHOD}))

    def _explained(self, model: Model, row: Mapping[str, Sequence[Any]]) -> Explanation:
        try:
            return explain_rows(model, row, 1)[0]
        except Exception:  # noqa: BLE001 - the answer is worth more than its explanation
            self._log_bug("")
            return Explanation(self._model_or_rule(model, row, 1)[0])

    def _count(
        self, request: Request, reply: Reply, request_id: str, tally: _Tally, ms: float
    ) -> None:
        route = request.path if request.path in ROUTES else "other"
        served = Served(route, reply.status, ms, **vars(tally), cold=self._cold)
        self._counters.add(served)
        if route not in {"/invocations", "/explain"}:
            return  # a load balancer asks every few seconds
        self._cold = False
        try:
            identity = self._holder.current().identity
            name, version = identity.name, identity.version
        except CrispError:
            name = version = "none"
        self._log(
            emf_line(
                served,
                dimensions={"Model": name, "Stage": self._stage, "Version": version},
                properties={"RequestId": request_id, "Route": route, "Status": reply.status},
                at_ms=int(time.time() * 1000),
            )
        )

    def _log_bug(self, request_id: str) -> None:
        self._log(fault_line(request_id))


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise refused(_TIMEOUT, "TIME_LIMIT", "it takes too long; send fewer rows at once")


def _failed(status: int, code: str, message: str) -> Reply:
    return Reply(status, encoded({"error_code": code, "message": message}))
