"""HDFS and YARN: one head, nodes on demand and on spot, each node a process of its own."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.yarn import daemons, files

HEAD = "127.0.0.20"
_SERVER = "org.apache.hadoop.yarn.server"
_PORTS = (
    "namenode",
    "namenode-http",
    "resourcemanager",
    "scheduler",
    "resource-tracker",
    "admin",
    "webapp",
)


@dataclass
class Yarn:
    """A cluster below a folder.

    Attributes:
        root: Folder for everything that it keeps.
        jars: Folder with Hadoop's jars.
        nodes: Label of each node by its address.
        memory_mib: What a node offers to containers.
    """

    root: Path
    jars: Path
    nodes: dict[str, str]
    memory_mib: int = 3328
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "excluded").touch()
        ports = dict(zip(_PORTS, daemons.free_ports(HEAD, len(_PORTS)), strict=True))
        self._settings = files.client_settings(self.root, HEAD, ports)
        self.conf = files.write(self.root / "conf" / "client", self._settings)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        namenode = "org.apache.hadoop.hdfs.server.namenode.NameNode"
        subprocess.run(
            daemons.java(self.jars, self.conf, namenode, "-format", "-nonInteractive"),
            check=True,
            capture_output=True,
            timeout=daemons.START_LIMIT,
        )
        self._daemon("namenode", namenode, r"NameNode RPC up|IPC Server listener.*starting")
        self._daemon(
            "datanode",
            "org.apache.hadoop.hdfs.server.datanode.DataNode",
            r"successfully registered with NN",
        )
        manager = f"{_SERVER}.resourcemanager.ResourceManager"
        self._daemon("resourcemanager", manager, r"Transitioned to active state")
        labels = ",".join(f"{label}(exclusive=false)" for label in files.LABELS)
        self.admin("-addToClusterNodeLabels", labels)
        for address, label in self.nodes.items():
            self.add_node(address, label)

    def add_node(self, address: str, label: str) -> None:
        """Start a node manager; it tells its label itself, as on EMR."""
        self.nodes[address] = label
        settings = dict(self._settings)
        settings["yarn-site"] = settings["yarn-site"] | files.node_settings(
            self.root, address, label, memory_mib=self.memory_mib
        )
        conf = self.root / "conf" / address
        if conf.exists():  # a machine of the same address comes back
            shutil.rmtree(conf)
        files.write(conf, settings)
        self._daemon(
            address,
            f"{_SERVER}.nodemanager.NodeManager",
            r"Registered with ResourceManager as",
            conf=conf,
            environment={"SPARK_LOCAL_IP": address, "LC_ALL": "C.UTF-8"},
        )

    def lose_node(self, address: str) -> int:
        """End a node and all its containers at once; return how many processes that were."""
        daemon = self.processes.pop(address)
        home = self.root / "nodes" / address
        # The containers first: a dying node manager must not tidy up after itself.
        daemon.send_signal(19)  # SIGSTOP
        count = daemons.kill(daemons.containers_below(home))
        daemon.kill()
        daemon.wait(30)
        return count + 1 + daemons.kill(daemons.containers_below(home))

    def announce_loss(self, address: str, *, seconds: int) -> None:
        """Take a node out of service gracefully, as EMR does on a spot notice."""
        with (self.root / "excluded").open("a") as excluded:
            excluded.write(f"{address}\n")
        self.admin("-refreshNodes", "-g", str(seconds), "-server")

    def containers(self, address: str) -> list[int]:
        """Return the processes of the containers on a node."""
        return list(daemons.containers_below(self.root / "nodes" / address))

    def logs(self, name: str) -> str:
        """Return all container logs of one name (``stderr``), one after the other."""
        found = sorted(self.root.glob(f"nodes/*/logs/*/*/{name}"))
        return "\n".join(f"== {file}\n{daemons.text(file)}" for file in found)

    def admin(self, *arguments: str) -> None:
        """Run ``yarn rmadmin``."""
        done = subprocess.run(
            daemons.java(
                self.jars, self.conf, "org.apache.hadoop.yarn.client.cli.RMAdminCLI", *arguments
            ),
            check=False,
            capture_output=True,
            text=True,
            timeout=daemons.START_LIMIT,
        )
        if done.returncode:
            raise RuntimeError(f"rmadmin {' '.join(arguments)}: {done.stderr[-2000:]}")

    def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            if name in self.nodes:
                self.lose_node(name)
        for process in self.processes.values():
            process.kill()
            process.wait(30)
        self.processes.clear()

    def _daemon(
        self,
        name: str,
        main: str,
        ready: str,
        *,
        conf: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.processes[name] = daemons.start(
            daemons.java(self.jars, conf or self.conf, main),
            self.root / f"{name}.log",
            ready,
            environment=environment,
        )
