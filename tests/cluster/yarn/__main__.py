"""``python -m tests.cluster.yarn FOLDER``: a YARN to try things on, until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from crisp_spark.engine.s3a import hadoop_version
from tests.cluster.yarn.cluster import Yarn

NODES = {"127.0.0.21": "ON_DEMAND", "127.0.0.22": "SPOT", "127.0.0.23": "SPOT"}


def main() -> None:
    fetch = Path(__file__).with_name("fetch.sh")
    jars = subprocess.run(
        [fetch, hadoop_version()], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    with Yarn(Path(sys.argv[1]).absolute(), Path(jars), dict(NODES)) as yarn:
        sys.stdout.write(f"export HADOOP_CONF_DIR={yarn.conf}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
