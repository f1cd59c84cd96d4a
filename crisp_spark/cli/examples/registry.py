"""The examples by name: which raw tables each writes, and which project file belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import nearest

_HERE = Path(__file__).parent
PROJECT_FILE = "crisp.yml"


@dataclass(frozen=True)
class Example:
    """A project to run and copy.

    Attributes:
        name: Its name.
        problem: Class of the mining problem.
        title: One line about it.
        writer: ``module:function`` of this package; the function writes the raw tables.
    """

    name: str
    problem: str
    title: str
    writer: str

    @property
    def project_file(self) -> Path:
        """The packaged project file; a writer may write one of its own instead."""
        return _HERE / self.name / PROJECT_FILE

    def write(self, directory: Path) -> Path:
        """Write raw tables and project file, and return the project file.

        Raises:
            EnvironmentFaultError: The package that ships the data is not installed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        module, _, function = self.writer.partition(":")
        write: Callable[[Path], None] = getattr(
            import_module(f"crisp_spark.cli.examples.{module}"), function
        )
        write(directory)
        target = directory / PROJECT_FILE
        if self.project_file.exists():
            target.write_bytes(self.project_file.read_bytes())
        return target


_ALL = (
    Example(
        "flights", "binary", "will a flight arrive late? 336,776 flights", "flights:write_tables"
    ),
    Example(
        "flights-dirty",
        "binary",
        "the flights with injected faults and a ledger of them",
        "flights_dirty:write",
    ),
    Example("wine", "multiclass", "which of three growers? 178 wines", "small:write_wines"),
    Example(
        "diabetes", "regression", "progression after a year, 442 patients", "small:write_patients"
    ),
    Example("wine-groups", "clustering", "which wines are alike? 178 wines", "small:write_wines"),
    Example(
        "routes", "recommendation", "which aircraft suits which route?", "small:write_services"
    ),
)
EXAMPLES: Mapping[str, Example] = {example.name: example for example in _ALL}
"""Every example by name."""


def example(name: str) -> Example:
    """Return the example called ``name``.

    Raises:
        UsageError: There is none.
    """
    if name not in EXAMPLES:
        raise UsageError(
            f"example: there is none called {name!r}",
            hint=nearest(name, EXAMPLES, kind="examples"),
        )
    return EXAMPLES[name]
