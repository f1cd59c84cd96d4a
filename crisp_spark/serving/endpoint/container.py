"""What containers and machines run: ``python -m crisp_spark.serving.endpoint.container serve``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from crisp_spark.errors import CrispError, UsageError
from crisp_spark.serving.endpoint.holding import open_endpoint, settings_of
from crisp_spark.serving.endpoint.loading import load
from crisp_spark.serving.endpoint.on_http import run_server

SAGEMAKER_MODEL = "/opt/ml/model"
"""Where SageMaker puts a model, and this image keeps one that it was built with."""

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a container is reached from outside only through its port
_PORT = 8080


def main(arguments: Sequence[str]) -> int:
    """Serve until told to end; returns the exit code.

    Args:
        arguments: ``serve``, as SageMaker calls it, or nothing.
    """
    try:
        if list(arguments) not in ([], ["serve"]):
            raise UsageError(f"container: serve is the only command, got {list(arguments)}")
        settings = settings_of(os.environ, stage="container", model=SAGEMAKER_MODEL)
        endpoint = open_endpoint(settings, load)
        host = os.environ.get("CRISP_HOST") or _EVERYWHERE
        run_server(endpoint, host=host, port=int(os.environ.get("CRISP_PORT") or _PORT))
    except CrispError as error:
        sys.stderr.write(f"endpoint: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
