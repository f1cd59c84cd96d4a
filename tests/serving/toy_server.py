"""Serves the toy until it is told to end; writes the port to standard error."""

import os
import sys

from crisp_spark.serving.endpoint.holding import FixedModel
from crisp_spark.serving.endpoint.on_http import run_server
from crisp_spark.serving.endpoint.reading import Limits
from crisp_spark.serving.endpoint.service import Endpoint
from tests.serving.toy_model import ToyModel

model = ToyModel(seconds=float(os.environ.get("TOY_SECONDS", "0")))
endpoint = Endpoint(FixedModel(model), limits=Limits(bytes=1_000_000, seconds=20))
run_server(
    endpoint,
    host="127.0.0.1",
    port=0,
    ready=lambda port: sys.stderr.write(f"port {port}\n"),
)
