"""EMR releases that crisp knows: what is in them, and how long they are supported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Release:
    """One EMR release.

    Attributes:
        label: Release label.
        spark: Spark version.
        scala: Scala version that its jars are built for.
        applications: Applications to ask for.
        supported_until: Last day of support; None where AWS has named none that was found.
        has_emrfs: Whether the older S3 connector can still be chosen.
    """

    label: str
    spark: str
    scala: str
    applications: tuple[str, ...]
    supported_until: date | None = None
    has_emrfs: bool = True

    @property
    def is_spark_8(self) -> bool:
        """Whether the label is of the ``emr-spark`` line, which knows no Hadoop or Hive."""
        return self.label.startswith("emr-spark-")


_AGENT = "AmazonCloudWatchAgent"
SPARK_8_APPLICATIONS = frozenset(
    {_AGENT, "Delta", "Hudi", "Iceberg", "JupyterEnterpriseGateway", "Livy", "Spark"}
)
"""All application names that the ``emr-spark`` line takes."""

# Sources: the release pages of the EMR release guide, as read in November 2026.
RELEASES: dict[str, Release] = {
    release.label: release
    for release in (
        Release(
            "emr-spark-8.1.0", "4.1.1", "2.13", ("Spark", _AGENT), date(2029, 9, 7), has_emrfs=False
        ),
        Release(
            "emr-spark-8.0.0",
            "4.0.2",
            "2.13",
            ("Spark", _AGENT),
            date(2027, 5, 20),
            has_emrfs=False,
        ),
        Release("emr-7.14.0", "3.5.8", "2.12", ("Hadoop", "Spark", _AGENT)),
        Release("emr-7.13.0", "3.5.6", "2.12", ("Hadoop", "Spark", _AGENT), date(2028, 4, 21)),
    )
}

TESTED = ("emr-spark-8.1.0", "emr-7.14.0")
"""Releases whose Spark version the project is tested with."""


def release_of(label: str) -> Release:
    """Return what is known of a release; of an unknown one, what its label says."""
    if label in RELEASES:
        return RELEASES[label]
    if label.startswith("emr-spark-"):
        return Release(label, "4", "2.13", ("Spark", _AGENT), has_emrfs=False)
    return Release(label, "3", "2.12", ("Hadoop", "Spark", _AGENT))
