"""Settings of Hadoop's S3A connector for sessions that this process starts.

On EMR nothing of this is needed: ``s3://`` is S3A there, with the node's or the step's role.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JARS = "CRISP_S3A_JARS"
"""Environment variable: folder with hadoop-aws and the AWS SDK (``bootstrap/s3a/fetch.sh``)."""

_FILE_SYSTEM = "org.apache.hadoop.fs.s3a.S3AFileSystem"
_DEFAULT_CHAINS: Mapping[str, str] = {
    # Hadoop line to the SDK's chain that knows profiles, which S3A's own chain does not.
    "3.3": "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
    "3.4": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
}


def s3a_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the Spark settings that make ``s3://`` readable and writable.

    ``AWS_ENDPOINT_URL_S3`` and ``AWS_ENDPOINT_URL`` point at another server, ``AWS_REGION`` and
    ``AWS_DEFAULT_REGION`` name the region, ``AWS_PROFILE`` chooses credentials, and
    ``CRISP_S3A_JARS`` is the folder of the connector's jars.

    Args:
        environ: Environment; the process's own by default.
    """
    env = os.environ if environ is None else environ
    settings = {
        "spark.hadoop.fs.s3.impl": _FILE_SYSTEM,
        "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        # Folders of attempts are new and written once: looking whether they exist costs a third
        # of all requests.
        "spark.hadoop.fs.s3a.performance.flags": "create,mkdir",
        # S3 keeps the checksum beside the object: publication need not read it again.
        "spark.hadoop.fs.s3a.create.checksum.algorithm": "SHA256",
    }
    if region := env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"):
        settings["spark.hadoop.fs.s3a.endpoint.region"] = region
    if endpoint := env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"):
        settings |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https")).lower(),
        }
    if env.get("AWS_PROFILE"):
        chain = _DEFAULT_CHAINS.get(".".join(hadoop_version().split(".")[:2]))
        if chain:
            settings["spark.hadoop.fs.s3a.aws.credentials.provider"] = chain
    if folder := env.get(JARS):
        settings["spark.jars"] = ",".join(str(jar) for jar in _jars(Path(folder)))
    return settings


def require_s3a(session: SparkSession) -> None:
    """Raise EnvironmentFaultError where the session has no connector for ``s3://``."""
    from py4j.protocol import Py4JError

    conf: Any = session._jsparkSession.sessionState().newHadoopConf()  # noqa: SLF001 - Hadoop's
    jvm: Any = session._jvm  # noqa: SLF001 - classes
    try:
        jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass("s3", conf)
    except Py4JError as error:
        version = hadoop_version()
        raise EnvironmentFaultError(
            "spark: this session cannot open s3:// (no S3A connector on its class path)",
            hint=f"run bootstrap/s3a/fetch.sh {version} and set {JARS} to the folder that it "
            "prints, or set the target's compute.conf: {spark.jars.packages: "
            f"org.apache.hadoop:hadoop-aws:{version}}}",
        ) from error


def hadoop_version() -> str:
    """Return the version of the Hadoop client inside pip's pyspark; empty where there is none."""
    import pyspark

    jars = Path(pyspark.__file__).parent / "jars"
    found = sorted(jars.glob("hadoop-client-api-*.jar"))
    return found[0].stem.removeprefix("hadoop-client-api-") if found else ""


def _jars(folder: Path) -> list[Path]:
    found = sorted(folder.absolute().glob("*.jar"))
    if not any(jar.name.startswith("hadoop-aws-") for jar in found):
        raise EnvironmentFaultError(
            f"{JARS}: no hadoop-aws jar in {folder}",
            hint="bootstrap/s3a/fetch.sh fetches the connector and prints its folder",
        )
    return found
