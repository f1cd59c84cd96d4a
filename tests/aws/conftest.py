"""One AWS-compatible server on this machine for all tests of the folder."""

from __future__ import annotations

from tests.aws_fixtures import aws, aws_server, bucket

__all__ = ["aws", "aws_server", "bucket"]
