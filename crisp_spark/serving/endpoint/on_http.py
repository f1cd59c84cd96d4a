"""The endpoint behind an HTTP server, for containers, machines and trials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import EnvironmentFaultError
from crisp_spark.serving.endpoint.faults import RequestError, refused
from crisp_spark.serving.endpoint.reading import JSON, Limits, too_large
from crisp_spark.serving.endpoint.rendering import encoded
from crisp_spark.serving.endpoint.service import Endpoint, Reply, Request

if TYPE_CHECKING:
    from fastapi import FastAPI, Response
    from fastapi import Request as HttpRequest

THREADS = 4
"""Requests that are worked on at once; Python's lock makes more of them slower."""
MOST_UNDER_WAY = 2000
"""Requests that are read, wait or are worked on; more of them are asked to come back."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_SHUTDOWN_SECONDS = 25
_BACKLOG = 4096


def build_app(endpoint: Endpoint, *, threads: int = THREADS) -> FastAPI:
    """Return the application; every path goes to the endpoint.

    Raises:
        EnvironmentFaultError: FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI, Response
        from fastapi import Request as HttpRequest
    except ImportError as error:
        raise _not_installed(error) from error

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    under_way = 0

    async def answer(request: HttpRequest) -> Response:
        nonlocal under_way
        if under_way >= MOST_UNDER_WAY:
            busy = refused(503, "BUSY", "too many requests are under way")
            reply = _refusal(busy, {"Retry-After": "1"})
        else:
            under_way += 1
            try:
                reply = await _answered(endpoint, request, pool)
            finally:
                under_way -= 1
        return Response(
            b"" if request.method == "HEAD" else reply.body,
            status_code=reply.status,
            media_type=reply.content_type,
            headers=dict(reply.headers),
        )

    # FastAPI would look for the names of local imports in the module.
    answer.__annotations__ = {"request": HttpRequest, "return": Response}
    app.add_api_route("/{path:path}", answer, methods=_METHODS, response_model=None)
    return app


async def _answered(endpoint: Endpoint, request: HttpRequest, pool: ThreadPoolExecutor) -> Reply:
    started = time.monotonic()
    try:
        body = await _body(request, endpoint.limits)
    except RequestError as error:
        return _refusal(error, {"Connection": "close"})
    wanted = Request(
        method=request.method,
        path=request.url.path,
        body=body,
        content_type=request.headers.get("content-type", JSON),
        request_id=request.headers.get("x-request-id", ""),
    )

    def work() -> Reply:
        left = endpoint.limits.seconds - (time.monotonic() - started)
        return endpoint.handle(wanted, seconds=max(left, 0.001))

    return await asyncio.get_running_loop().run_in_executor(pool, work)


async def _body(request: HttpRequest, limits: Limits) -> bytes:
    """Read the body; one that is too large, too slow or cut off is not read to its end."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limits.bytes:
        raise too_large(limits)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.bytes:
                    raise too_large(limits)
                parts.append(part)
    except TimeoutError:
        raise refused(408, "TIME_LIMIT", "the body comes too slowly") from None
    return b"".join(parts)


def _refusal(error: RequestError, headers: dict[str, str]) -> Reply:
    return Reply(error.status, encoded(error.as_json()), headers=headers)


def run_server(
    endpoint: Endpoint, *, host: str, port: int, ready: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; requests that are under way are answered first.

    Args:
        endpoint: Answers.
        host: Address to listen at.
        port: Port; 0 takes a free one.
        ready: Called with the port once the server listens.

    Raises:
        EnvironmentFaultError: FastAPI or uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _not_installed(error) from error
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(endpoint),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    )
    if ready is not None:
        _tell_when_ready(server, ready)
    server.run()


def _tell_when_ready(server: Any, ready: Callable[[int], None]) -> None:
    startup = server.startup

    async def told(*arguments: Any, **named: Any) -> None:
        await startup(*arguments, **named)
        if server.started:
            ready(server.servers[0].sockets[0].getsockname()[1])

    server.startup = told


def _not_installed(error: ImportError) -> EnvironmentFaultError:
    return EnvironmentFaultError(
        f"serve: {error.name} is not installed",
        hint="pip install 'crisp-spark[serving]'",
    )
