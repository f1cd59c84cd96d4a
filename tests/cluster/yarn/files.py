"""Configuration files of the daemons and of their clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

LABELS = ("ON_DEMAND", "SPOT")
_LOGGING = """\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
_ONE_QUEUE = {
    "root.queues": "default",
    "root.default.capacity": "100",
    "root.default.maximum-capacity": "100",
    "root.default.state": "RUNNING",
    "root.default.acl_submit_applications": "*",
    "root.default.acl_administer_queue": "*",
    "root.accessible-node-labels": "*",
    "root.default.accessible-node-labels": "*",
    "maximum-am-resource-percent": "1.0",
    "resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
}


def client_settings(root: Path, head: str, ports: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Return what every daemon and client has to know, by file."""
    resource_manager = {
        f"yarn.resourcemanager.{name}.address": f"{head}:{ports[name]}"
        for name in ("scheduler", "resource-tracker", "admin", "webapp")
    }
    return {
        "core-site": {
            "fs.defaultFS": f"hdfs://{head}:{ports['namenode']}",
            "hadoop.tmp.dir": str(root / "tmp"),
        },
        "hdfs-site": {
            "dfs.replication": "1",
            "dfs.permissions.enabled": "false",
            # The head's name is its address. By the other way clients would take the address that
            # the data node's connection came from, and the kernel may choose another one.
            "dfs.client.use.datanode.hostname": "true",
            "dfs.datanode.use.datanode.hostname": "true",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.http-address": f"{head}:{ports['namenode-http']}",
            "dfs.namenode.name.dir": (root / "name").as_uri(),
            "dfs.namenode.safemode.threshold-pct": "0",
            "dfs.datanode.data.dir": (root / "data").as_uri(),
            "dfs.datanode.address": f"{head}:0",
            "dfs.datanode.http.address": f"{head}:0",
            "dfs.datanode.ipc.address": f"{head}:0",
            "dfs.datanode.hostname": head,
        },
        "yarn-site": {
            "yarn.resourcemanager.hostname": head,
            "yarn.resourcemanager.address": f"{head}:{ports['resourcemanager']}",
            **resource_manager,
            "yarn.resourcemanager.nodes.exclude-path": str(root / "excluded"),
            "yarn.resourcemanager.decommissioning-nodes-watcher.poll-interval-secs": "2",
            # A silent node is given up after half a minute, not after ten.
            "yarn.nm.liveness-monitor.expiry-interval-ms": "30000",
            "yarn.resourcemanager.nm.liveness-monitor.interval-ms": "2000",
            "yarn.node-labels.enabled": "true",
            "yarn.node-labels.configuration-type": "distributed",
            "yarn.node-labels.fs-store.root-dir": (root / "labels").as_uri(),
            "yarn.scheduler.minimum-allocation-mb": "128",
            "yarn.scheduler.maximum-allocation-mb": "4096",
            "yarn.log-aggregation-enable": "false",
        },
        "capacity-scheduler": {
            f"yarn.scheduler.capacity.{key}": value for key, value in _queues().items()
        },
    }


def node_settings(root: Path, address: str, label: str, *, memory_mib: int) -> dict[str, str]:
    """Return the ``yarn-site`` of one node manager."""
    home = root / "nodes" / address
    return {
        "yarn.nodemanager.hostname": address,
        "yarn.nodemanager.bind-host": address,
        "yarn.nodemanager.address": f"{address}:0",
        "yarn.nodemanager.localizer.address": f"{address}:0",
        "yarn.nodemanager.collector-service.address": f"{address}:0",
        "yarn.nodemanager.webapp.address": f"{address}:0",
        "yarn.nodemanager.local-dirs": str(home / "local"),
        "yarn.nodemanager.log-dirs": str(home / "logs"),
        "yarn.nodemanager.resource.memory-mb": str(memory_mib),
        # One container each: what runs where is known.
        "yarn.nodemanager.resource.cpu-vcores": "1",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.pmem-check-enabled": "false",
        "yarn.nodemanager.delete.debug-delay-sec": "3600",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
        "yarn.nodemanager.env-whitelist": "JAVA_HOME,SPARK_LOCAL_IP,LC_ALL",
        "yarn.nodemanager.node-labels.provider": "config",
        "yarn.nodemanager.node-labels.provider.configured-node-partition": label,
    }


def write(folder: Path, settings: Mapping[str, Mapping[str, str]]) -> Path:
    """Write the files and return their folder."""
    folder.mkdir(parents=True)
    for page in ("hdfs", "datanode"):  # their pages are in no jar, but must be on the class path
        (folder / "webapps" / page).mkdir(parents=True)
    for name, values in settings.items():
        lines = [
            f"<property><name>{escape(key)}</name><value>{escape(value)}</value></property>"
            for key, value in values.items()
        ]
        body = "\n".join(["<configuration>", *lines, "</configuration>", ""])
        (folder / f"{name}.xml").write_text(body, encoding="utf-8")
    (folder / "log4j.properties").write_text(_LOGGING, encoding="utf-8")
    return folder


def _queues() -> dict[str, str]:
    labelled = {
        f"{queue}.accessible-node-labels.{label}.{limit}": "100"
        for queue in ("root", "root.default")
        for label in LABELS
        for limit in ("capacity", "maximum-capacity")
    }
    return {**_ONE_QUEUE, **labelled}
