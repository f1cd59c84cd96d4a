"""A run whose Spark applications are shell scripts, on the loop-back EMR."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from crisp_spark.aws.emr.records import Submissions
from crisp_spark.aws.emr.submit import Patience
from crisp_spark.aws.emr.waiting import Pace
from crisp_spark.aws.emr.work import Work
from tests.aws.loopback_fixtures import LOG_URI, request

QUICK_PACE = Pace(first=0.05, longest=0.2)
QUICK_PATIENCE = Patience(stale=1.0, pace=QUICK_PACE)
STAGES = {"prepare": ("charter", "ingest"), "sweep": ("sweep",)}


@dataclasses.dataclass(frozen=True)
class ShellPlan:
    """A plan whose steps are one shell script per stage, chosen by the first of its steps."""

    scripts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    own_cluster: bool = True
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def run_job_flow(self, *, name, tags, steps) -> dict[str, Any]:
        tagged = {"crisp:project": "tiny", **(tags or {})}
        asked = request(*steps, Name=name, **self.more)
        extra = asked.pop("Tags", [])
        pairs = [{"Key": key, "Value": value} for key, value in tagged.items()]
        return {**asked, "Tags": [*pairs, *extra]}

    def spark_submit(self, job_uri, args) -> list[str]:
        first = args[args.index("--steps") + 1].split(",")[0]
        return ["bash", "-c", self.scripts.get(first, f"echo {first} of $*"), job_uri, *args]

    def step(self, name, arguments, *, on_failure) -> dict[str, Any]:
        return {
            "Name": name,
            "ActionOnFailure": on_failure,
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(arguments)},
        }

    def security_configuration(self) -> dict[str, Any]:
        return {"Name": "crisp-test", "SecurityConfiguration": "{}"}


def work(run_id: str = "r1", *, cluster_id: str = "", **plan: Any) -> Work:
    return Work(
        run_id=run_id,
        project="tiny",
        plan=ShellPlan(own_cluster=not cluster_id, **plan),
        project_uri="s3://logs/projects/p.yml",
        job_uri="s3://logs/jobs/run.py",
        stages=STAGES,
        cluster_id=cluster_id,
        log_uri=LOG_URI,
        digest="d1",
    )


@dataclasses.dataclass
class MemoryObjects:
    """An object store in memory."""

    content: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def put_if_absent(self, key: str, content: bytes) -> bool:
        return self.content.setdefault(key, content) is content

    def read(self, key: str) -> bytes:
        return self.content[key]

    def exists(self, key: str) -> bool:
        return key in self.content

    def stat(self, prefix: str) -> list[Any]:
        @dataclasses.dataclass(frozen=True)
        class Stat:
            key: str

        return [Stat(key) for key in sorted(self.content) if key.startswith(f"{prefix}/")]


def memory_records() -> tuple[MemoryObjects, Submissions]:
    objects = MemoryObjects()
    return objects, Submissions(objects)
