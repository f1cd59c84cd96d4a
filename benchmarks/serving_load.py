"""Requests to the HTTP endpoint from many clients at once, on the loopback address.

The endpoint is `crisp serve` in a process of its own. A client is a connection that stays open and
sends the next request when it has the answer to the last one; all of them are tasks of one loop in
this process, which costs processor time too: where both share few cores, the endpoint alone could
do more.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

HOST = "127.0.0.1"
CLIENTS = (1, 8, 64)
WARM_REQUESTS = 50
START_SECONDS = 60


@contextmanager
def served(bundle: Path) -> Iterator[int]:
    """Serve a bundle in a process of its own; gives the port."""
    call = [sys.executable, "-m", "crisp_spark", "serve", "--bundle", str(bundle), "--port", "0"]
    server = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield _port(server)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=START_SECONDS)


def _port(server: subprocess.Popen[str]) -> int:
    told = []
    for line in server.stderr or ():
        told.append(line)
        found = re.search(rf"http://{HOST}:(\d+)/", line)
        if found:
            return int(found[1])
    sys.exit(f"crisp serve ended: {''.join(told)[-2000:]}")


def request_of(rows: Sequence[dict]) -> bytes:
    body = json.dumps({"dataframe_records": list(rows)}).encode()
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"content-length: (\d+)", head)
    if length is None:
        sys.exit(f"an answer without length: {head}")
    return int(head.split(" ", 2)[1]), await reader.readexactly(int(length[1]))


async def _client(port: int, requests: Sequence[bytes], until: float, spent: list[float]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    at = 0
    while time.perf_counter() < until:
        begun = time.perf_counter()
        writer.write(requests[at % len(requests)])
        await writer.drain()
        status, body = await _answer(reader)
        spent.append(time.perf_counter() - begun)
        if status != HTTPStatus.OK:
            sys.exit(f"the endpoint answers {status}: {body[:500]!r}")
        at += 1
    writer.close()
    await writer.wait_closed()


async def _load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> dict:
    spent: list[float] = []
    begun = time.perf_counter()
    shares = [requests[at :: max(1, min(clients, len(requests)))] for at in range(clients)]
    until = begun + seconds
    await asyncio.gather(*(_client(port, share or requests, until, spent) for share in shares))
    passed = time.perf_counter() - begun
    cuts = statistics.quantiles(spent, n=100, method="inclusive")
    return {
        "requests_s": round(len(spent) / passed, 1),
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
    }


def measure(bundle: Path, rows: Sequence[dict], *, seconds: float, batch: int) -> dict:
    """Return requests a second and latency by clients with one row each, and rows a second.

    Args:
        bundle: The model.
        rows: What is asked about.
        seconds: How long each number of clients asks.
        batch: Rows of a request where many rows are asked about at once.
    """
    single = [request_of([row]) for row in rows]
    several = [request_of(rows[at : at + batch]) for at in range(0, len(rows), batch)]
    with served(bundle) as port:
        asyncio.run(_load(port, single[:WARM_REQUESTS], 1, min(seconds, 1.0)))
        one = {clients: asyncio.run(_load(port, single, clients, seconds)) for clients in CLIENTS}
        many = asyncio.run(_load(port, several, min(8, os.cpu_count() or 1), seconds))
    return {"one_row": one, "batch_rows": batch, "batch": many}
