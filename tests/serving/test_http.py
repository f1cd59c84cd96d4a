"""The HTTP server: by its own interface, fuzzed from its own description, and under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from crisp_spark.serving.endpoint import on_http
from crisp_spark.serving.endpoint.holding import FixedModel
from crisp_spark.serving.endpoint.on_http import build_app
from crisp_spark.serving.endpoint.reading import Limits
from crisp_spark.serving.endpoint.service import Endpoint
from tests.serving.toy_model import ToyModel

ROOT = Path(__file__).parents[2]
ROW = {"delay": 40.0, "carrier": "AA", "seats": 100, "day": None}
BODY = {"dataframe_records": [ROW]}


def endpoint_of(**limits) -> Endpoint:
    return Endpoint(FixedModel(ToyModel()), limits=Limits(**limits), log=len)


def called(app, *requests):
    async def call():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(call())


def test_paths_are_answered_with_kind_and_id():
    app = build_app(endpoint_of())
    ping, head, found, bad, gone, wrong = called(
        app,
        ("GET", "/ping", {}),
        ("HEAD", "/ping", {}),
        ("POST", "/invocations", {"json": BODY, "headers": {"X-Request-Id": "mine"}}),
        ("POST", "/invocations", {"content": b"{"}),
        ("GET", "/nowhere", {}),
        ("DELETE", "/invocations", {}),
    )
    assert (ping.status_code, ping.json()) == (200, {"status": "ok"})
    assert (head.status_code, head.content) == (200, b"")
    assert found.json()["predictions"][0]["prediction"] == "true"
    assert found.headers["x-request-id"] == "mine"
    assert found.headers["content-type"] == "application/json"
    assert (bad.status_code, gone.status_code, wrong.status_code) == (400, 404, 405)
    assert wrong.headers["allow"] == "POST"


def test_a_body_that_is_too_large_is_not_read():
    async def endless():
        while True:
            yield b"x" * 1000

    app = build_app(endpoint_of(bytes=5000))
    announced, streamed = called(
        app,
        ("POST", "/invocations", {"content": b"x" * 6000}),
        ("POST", "/invocations", {"content": endless()}),
    )
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["error_code"]) == (413, "TOO_LARGE")


def test_a_body_that_comes_too_slowly_is_given_up():
    async def slow():
        yield b"{"
        await asyncio.sleep(5)

    (answer,) = called(
        build_app(endpoint_of(seconds=0.2)), ("POST", "/invocations", {"content": slow()})
    )
    assert (answer.status_code, answer.json()["error_code"]) == (408, "TIME_LIMIT")


def test_too_many_waiting_requests_are_asked_to_come_back(monkeypatch):
    monkeypatch.setattr(on_http, "MOST_UNDER_WAY", 2)
    slow = Endpoint(FixedModel(ToyModel(seconds=0.2)), log=len)

    async def call():
        transport = httpx.ASGITransport(app=build_app(slow, threads=1))
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            calls = [client.post("/invocations", json=BODY) for _ in range(8)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(call())
    refused = [one for one in answers if one.status_code == 503]
    assert {one.status_code for one in answers} == {200, 503}
    assert refused[0].json()["error_code"] == "BUSY"
    assert refused[0].headers["retry-after"] == "1"


schema = schemathesis.openapi.from_asgi("/openapi.json", build_app(endpoint_of(rows=50)))


@schema.parametrize()
@settings(
    max_examples=int(os.environ.get("CRISP_FUZZ_EXAMPLES", "15")),
    deadline=None,
    derandomize="CRISP_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_endpoint_is_as_its_description_says(case):
    # That a row is as long as the columns, and what a line of CSV holds, no JSON Schema can say.
    unsaid = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
    case.call_and_validate(excluded_checks=[unsaid])


@contextmanager
def server(log, **environ):
    line = [sys.executable, "-m", "tests.serving.toy_server"]
    with log.open("wb") as out:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        first = process.stderr.readline()
        assert first.startswith("port "), first + process.stderr.read()
        yield process, f"http://127.0.0.1:{first.split()[1]}"
    finally:
        process.kill()
        process.communicate()


def test_a_thousand_calls_at_once_are_all_answered(tmp_path):
    number = 1000

    async def call(address):
        limits = httpx.Limits(max_connections=number)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            bodies = [{"inputs": [ROW | {"flight id": str(place)}]} for place in range(number)]
            calls = [client.post(f"{address}/invocations", json=body) for body in bodies]
            answers = await asyncio.gather(*calls)
            sums = (await client.get(f"{address}/metrics")).text
        return answers, sums

    with server(tmp_path / "out") as (process, address):
        answers, sums = asyncio.run(call(address))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    out = (tmp_path / "out").read_text()
    assert {one.status_code for one in answers} == {200}
    # Each caller got its own answer.
    keys = [one.json()["predictions"][0]["key"]["flight id"] for one in answers]
    assert keys == [str(place) for place in range(number)]
    assert f'crisp_requests_total{{route="/invocations",status="200"}} {number}' in sums
    assert sum(json.loads(line)["Requests"] for line in out.splitlines()) == number


def test_sigterm_lets_a_request_end(tmp_path):
    with server(tmp_path / "out", TOY_SECONDS="1.5") as (process, address):
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps(BODY).encode()
        with socket.create_connection((host, int(port))) as line:
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            line.sendall(head.encode() + body)
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            line.settimeout(60)
            answer = line.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
        # uvicorn ends by the signal that it was sent.
        assert process.wait(timeout=60) in {0, -signal.SIGTERM}


def test_a_port_that_is_taken_ends_the_server(tmp_path):
    with server(tmp_path / "out") as (_, address):
        port = int(address.rsplit(":", 1)[1])
        with pytest.raises(SystemExit):
            on_http.run_server(endpoint_of(), host="127.0.0.1", port=port)
