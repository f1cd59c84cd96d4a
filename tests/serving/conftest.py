"""Servers on the loopback address for the tests of this folder."""

from __future__ import annotations

from tests.aws_fixtures import aws, aws_server, bucket

__all__ = ["aws", "aws_server", "bucket"]
