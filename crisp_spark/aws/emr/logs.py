"""Logs of steps while they run and after: from the cluster's S3 prefix, or from CloudWatch."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.emr.records import Submission
from crisp_spark.aws.objects import split_uri

_APPLICATION = re.compile(r"application_\d+_\d+")
_DRIVER = re.compile(r"_000001/(stdout|stderr)\.gz$")
_MOST_KEYS = 1000


_TALK = re.compile(
    r"^(\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|DEBUG) |\s+(client token|diagnostics: N/A|Application"
    r"Master host|queue:|start time:|final status: UNDEF|tracking URL:|user: )|$)"
)


def is_telling(text: str) -> bool:
    """Say whether a log line is more than Spark's everyday talk."""
    return _TALK.match(text) is None


@dataclass(frozen=True)
class LogLine:
    """One line of a log.

    Attributes:
        stage: Stage of the run, or what else the log is of.
        log: ``stderr``, ``stdout``, ``controller``.
        text: The line, without its end.
    """

    stage: str
    log: str
    text: str


class LogSource(Protocol):
    """Somewhere that a step's logs come from."""

    def new_lines(self, stage: str, step_id: str) -> Iterator[LogLine]:
        """Yield the lines that were added since the last call."""
        ...


@dataclass
class S3Logs:
    """Logs of steps in S3; EMR writes them anew every few minutes.

    Attributes:
        aws: Clients.
        prefix: ``s3://`` prefix of the cluster's, or application's, logs.
        folder: Folder of a step's logs below it.
        names: Logs that :meth:`new_lines` reads.
    """

    aws: Clients
    prefix: str
    folder: str = "steps/{step}/"
    names: tuple[str, ...] = ("stdout", "stderr")
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, aws: Clients, submission: Submission) -> S3Logs:
        """Return the logs of a run."""
        root = f"{submission.log_uri.rstrip('/')}/"
        if submission.kind == "emr-serverless":
            return cls(aws, f"{root}applications/{submission.place}/", "jobs/{step}/SPARK_DRIVER/")
        return cls(aws, f"{root}{submission.place}/")

    def place(self, step_id: str) -> str:
        """Return the prefix of a step's logs below :attr:`prefix`."""
        return self.folder.format(step=step_id)

    def text(self, below: str) -> str:
        """Return a whole log, an empty text where there is none (yet).

        Args:
            below: Key below the prefix without ``.gz``, such as ``steps/s-1/stderr``.
        """
        bucket, key = split_uri(f"{self.prefix}{below}.gz")
        with translated(f"logs: {below}"):
            try:
                found = self.aws.s3.get_object(Bucket=bucket, Key=key)
            except self.aws.s3.exceptions.NoSuchKey:
                return ""
            return _unpacked(found["Body"].read())

    def step_text(self, step_id: str, name: str) -> str:
        """Return a whole log of a step, then its driver's on YARN; empty where there is none."""
        text = self.text(f"{self.place(step_id)}{name}")
        client = text if name == "stderr" else self.text(f"{self.place(step_id)}stderr")
        driver = [self.text(below) for below in self._driver(client) if below.endswith(name)]
        return "\n".join(filter(None, [text, *driver]))

    def new_lines(self, stage: str, step_id: str) -> Iterator[LogLine]:
        """Yield the whole lines that were added since the last call."""
        tags = self._etags(self.place(step_id))
        for name in self.names:
            yield from self._added(stage, name, f"{self.place(step_id)}{name}", tags)
        for client in list(self._texts.values()):
            for below in self._driver(client):
                folder, _, name = below.rpartition("/")
                yield from self._added(stage, name, below, self._etags(f"{folder}/"))

    def _added(
        self, stage: str, name: str, below: str, tags: Mapping[str, str]
    ) -> Iterator[LogLine]:
        etag = tags.get(f"{below}.gz", "")
        old, position = self._seen.get(below, ("", 0))
        if not etag or etag == old:
            return
        text = self.text(below)
        if name == "stderr" and "/containers/" not in f"/{below}":
            self._texts[below] = text
        end = text.rfind("\n") + 1
        self._seen[below] = (etag, max(position, end))
        for line in text[position:end].splitlines():
            yield LogLine(stage, name, line)

    def _driver(self, client: str) -> list[str]:
        """Return the logs of the driver's container, which the client's log names."""
        found = []
        for application in dict.fromkeys(_APPLICATION.findall(client)):
            keys = self._etags(f"containers/{application}/")
            found += [key.removesuffix(".gz") for key in keys if _DRIVER.search(key)]
        return sorted(found)

    def bootstrap(self) -> list[tuple[str, str]]:
        """Return the error logs of bootstrap actions: key and text."""
        keys = [key for key in self._etags("node/") if "/bootstrap-actions/" in key]
        wanted = [key.removesuffix(".gz") for key in keys if key.endswith("stderr.gz")]
        return [(key, self.text(key)) for key in sorted(wanted)]

    def _etags(self, below: str) -> dict[str, str]:
        bucket, start = split_uri(self.prefix)
        with translated(f"logs: {below}"):
            found = self.aws.s3.list_objects_v2(
                Bucket=bucket, Prefix=f"{start}{below}", MaxKeys=_MOST_KEYS
            )
        return {one["Key"][len(start) :]: one["ETag"] for one in found.get("Contents", ())}


@dataclass
class CloudWatchLogs:
    """Driver logs in CloudWatch, seconds old, of clusters that were asked to send them.

    The streams of a step are those whose name holds its id; which names EMR gives them is not
    documented, so all streams below the prefix are looked through.

    Attributes:
        aws: Clients.
        group: Log group.
        prefix: Beginning of the streams' names.
    """

    aws: Clients
    group: str
    prefix: str
    _tokens: dict[str, str] = field(default_factory=dict)

    def new_lines(self, stage: str, step_id: str) -> Iterator[LogLine]:
        """Yield the events that were added since the last call."""
        for stream in self._streams(step_id):
            log = "stdout" if "stdout" in stream.lower() else "stderr"
            for event in self._events(stream):
                yield LogLine(stage, log, str(event["message"]).rstrip("\n"))

    def _streams(self, step_id: str) -> list[str]:
        logs = self.aws.get("logs")
        with translated("logs: CloudWatch"):
            try:
                pages = logs.get_paginator("describe_log_streams").paginate(
                    logGroupName=self.group, logStreamNamePrefix=self.prefix
                )
                names = [one["logStreamName"] for page in pages for one in page["logStreams"]]
            except logs.exceptions.ResourceNotFoundException:
                return []
        return [name for name in names if step_id in name]

    def _events(self, stream: str) -> Iterator[Mapping[str, Any]]:
        logs = self.aws.get("logs")
        while True:
            token = self._tokens.get(stream)
            more = {"nextToken": token} if token else {}
            with translated("logs: CloudWatch"):
                found = logs.get_log_events(
                    logGroupName=self.group, logStreamName=stream, startFromHead=True, **more
                )
            yield from found["events"]
            self._tokens[stream] = found["nextForwardToken"]
            if found["nextForwardToken"] == token or not found["events"]:
                return


def _unpacked(content: bytes) -> str:
    """Unpack a log; of one that is cut off, what can be read."""
    try:
        plain = gzip.decompress(content)
    except (EOFError, OSError, zlib.error):
        plain = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content) if content else b""
    return plain.decode(errors="replace")
