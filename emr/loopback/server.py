"""The server: moto's, with its EMR replaced."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import moto.emr.urls
from moto.server import ThreadedMotoServer

from emr.loopback.cluster import Cluster
from emr.loopback.machine import Machine
from emr.loopback.options import Options
from emr.loopback.responses import response_class

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_JOIN_SECONDS = 15


class LoopbackEmr:
    """EMR, S3 and the rest of moto on 127.0.0.1; a context manager.

    Args:
        options: How it behaves.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.page_size = self.options.page_size
        self.clusters: dict[str, Cluster] = {}
        self.endpoint = ""
        self._lock = threading.Lock()
        self._server: ThreadedMotoServer | None = None
        self._own_folder = self.options.folder is None
        self.folder = self.options.folder or Path()

    def __enter__(self) -> Self:
        if self._own_folder:
            self.folder = Path(tempfile.mkdtemp(prefix="loopback-emr-"))
        # A line per request, also of other threads after a test's end, helps nobody.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(HOST, port=self.options.port, verbose=False)
        self._server.start()
        self.endpoint = f"http://{HOST}:{self._server.get_host_and_port()[1]}"
        self._take_over()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_clusters()
        if self._server is not None:
            self._server.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _take_over(self) -> None:
        """Make this server, and no other of the process, answer EMR's calls here.

        moto builds what answers a service from its table of paths on the service's first request.
        """
        paths = moto.emr.urls.url_paths
        moto.emr.urls.url_paths = {"{0}/$": response_class(self)}
        try:
            self.client("emr").list_clusters()
        finally:
            moto.emr.urls.url_paths = paths

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """Return a boto3 client of this server."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="loopback",
            aws_secret_access_key="loopback",  # noqa: S106  # no secret: this machine's own server
        )

    def launch(self, request: Mapping[str, Any], *, region: str) -> Cluster:
        """Start a cluster."""
        s3, events = self.client("s3", region), self.client("events", region)

        def machine(cluster_id: str) -> Machine:
            folder = self.folder / cluster_id
            return Machine(self.options, folder, s3=s3, endpoint=self.endpoint, region=region)

        def tell(kind: str, detail: Mapping[str, Any]) -> None:
            event = {"Source": "aws.emr", "DetailType": kind, "Detail": json.dumps(dict(detail))}
            try:
                events.put_events(Entries=[event])
            except Exception:
                logger.warning("event %s was not sent", kind, exc_info=True)

        cluster = Cluster(request, self.options, machine=machine, on_change=tell)
        with self._lock:
            self.clusters[cluster.id] = cluster
        cluster.start()
        return cluster

    def end_clusters(self) -> None:
        """End all clusters and the processes of their steps."""
        for cluster in self.clusters.values():
            cluster.terminate()
        for cluster in self.clusters.values():
            cluster.join(_JOIN_SECONDS)
        self.clusters.clear()
