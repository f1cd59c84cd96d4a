"""``python -m emr.loopback``: the loop-back EMR for a person, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path

from crisp_spark.engine.s3a import hadoop_version
from emr.loopback.options import Options, SparkHere
from emr.loopback.server import LoopbackEmr

_BUCKET = "crisp-local"
_FETCH = Path(__file__).parents[2] / "bootstrap" / "s3a" / "fetch.sh"


def _connector() -> Path | None:
    """Fetch the S3A connector; without it steps can be run, but not read s3:// with Spark."""
    done = subprocess.run(  # noqa: S603  # our own script
        [str(_FETCH), hadoop_version()], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write("no S3A connector: Spark will not read s3:// here\n")
        return None
    return Path(done.stdout.strip())


def main() -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5555, help="port on 127.0.0.1")
    parser.add_argument("--master", default="local[2]", help="Spark master of the steps")
    parser.add_argument("--folder", type=Path, default=None, help="where logs and files go")
    parser.add_argument("--bucket", default=_BUCKET, help="S3 bucket to make")
    parser.add_argument(
        "--jars", type=Path, default=None, help="folder with the S3A jars; else fetched"
    )
    asked = parser.parse_args()
    folder = asked.jars or _connector()
    jars = tuple(sorted(folder.glob("*.jar"))) if folder else ()
    options = Options(
        folder=asked.folder, port=asked.port, spark=SparkHere(master=asked.master, jars=jars)
    )
    with LoopbackEmr(options) as loopback:
        loopback.client("s3").create_bucket(Bucket=asked.bucket)
        sys.stdout.write(
            f"export AWS_ENDPOINT_URL={loopback.endpoint} AWS_ACCESS_KEY_ID=loopback "
            "AWS_SECRET_ACCESS_KEY=loopback AWS_DEFAULT_REGION=us-east-1\n"
            f"# bucket s3://{asked.bucket}, files below {loopback.folder}; Ctrl-C ends it\n"
        )
        sys.stdout.flush()
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
        sys.stderr.write("ending the clusters\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
