"""How the loop-back EMR behaves: times, folders, the Spark that it submits to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SparkHere:
    """The Spark that takes the place of YARN.

    Attributes:
        home: ``SPARK_HOME``; pyspark's own when None.
        python: Interpreter of driver and workers where no bootstrap action built the one that the
            step asks for.
        master: Spark master, such as ``local[2]`` or ``local-cluster[2,1,1024]``.
        conf: Settings laid over those of every step.
        jars: Jars on the class path of driver and executors (the S3A connector).
    """

    home: Path | None = None
    python: str = sys.executable
    master: str = "local[2]"
    conf: Mapping[str, str] = field(default_factory=dict)
    jars: tuple[Path, ...] = ()

    def found_home(self) -> Path:
        """Return ``SPARK_HOME``."""
        if self.home is not None:
            return self.home
        import pyspark

        return Path(pyspark.__file__).parent


@dataclass(frozen=True)
class Options:
    """Times are in seconds and far shorter than EMR's.

    Attributes:
        folder: Where the machines' files go; a temporary folder when None.
        port: Port on 127.0.0.1; 0 takes a free one.
        provisioning: From RunJobFlow to the first bootstrap action.
        ending: Between TERMINATING and the end.
        log_upload: Between uploads of the logs of a running step.
        idle_scale: Factor on every IdleTimeout (EMR's shortest is 60 s).
        page_size: Items in one answer of a listing; EMR's is 50.
        grace: Between SIGTERM and SIGKILL of a cancelled step.
        environ: Environment variables of steps and bootstrap actions.
        spark: The Spark that is used.
    """

    folder: Path | None = None
    port: int = 0
    provisioning: float = 0.2
    ending: float = 0.05
    log_upload: float = 1.0
    idle_scale: float = 1.0
    page_size: int = 50
    grace: float = 10.0
    environ: Mapping[str, str] = field(default_factory=dict)
    spark: SparkHere = field(default_factory=SparkHere)
