"""An AWS-compatible server in this process, on the loopback address only."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer

from crisp_spark.aws.clients import Clients, clients


def point_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Make every client of this process talk to ``address``, with credentials of no worth."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """Address of the server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients of the server."""
    point_at(monkeypatch, aws_server)
    return clients("us-east-1")


@pytest.fixture
def bucket(aws: Clients) -> str:
    """A new bucket."""
    name = f"test-{uuid4().hex[:12]}"
    aws.s3.create_bucket(Bucket=name)
    return name
