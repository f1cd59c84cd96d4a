"""What ingest emits: a receipt per source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult

ProblemKind = Literal[
    "empty_file",
    "damaged_file",
    "no_rows",
    "no_files",
    "duplicate_header",
    "repeated_header",
    "missing_column",
    "renamed_column",
    "extra_column",
    "reordered_columns",
    "header_spelling",
    "mixed_types",
    "inferred_string",
    "rejected_rows",
]
Level = Literal["info", "warn"]
Origin = Literal["declared", "inferred", "path"]


class IngestProblem(ResultPart):
    """Something about a source that a reader should know."""

    kind: ProblemKind
    """What it is."""
    level: Level
    """``info`` where nothing was lost, ``warn`` where somebody should look."""
    message: str
    """One sentence."""
    file: str = ""
    """File it is about, as in ``_crisp_file``."""
    column: str = ""
    """Column it is about."""
    suggestion: str = ""
    """What to do about it."""


class ColumnReceipt(ResultPart):
    """One column as it was read."""

    name: str
    """Name in ``raw.<source>``."""
    type: str
    """Spark type."""
    origin: Origin
    """Whether the type was declared, inferred, or the column taken from the path."""


class FileReceipt(ResultPart):
    """One file as it was found and read. Lines are None where a file is not read line by line."""

    file: str
    """Path below the root of the source."""
    bytes: int
    """Size."""
    sha256: str | None
    """Hash of the content, for local files."""
    lines: int | None
    """Physical lines."""
    headers: int | None
    """Lines equal to the header."""
    blanks: int | None
    """Lines without any character but white space."""
    kept: int
    """Rows of the file in ``raw.<source>``."""
    rejected: int
    """Rows of the file in ``rejects.<source>``."""
    left_out: bool = False
    """The whole file was unreadable: its one line in the rejects stands for all of it."""


class RejectReason(ResultPart):
    """A reason for rejects and how often it was given; a row can have several."""

    reason: str
    """The reason as in ``rejects.<source>``."""
    rows: int
    """Rows that have it."""


class RejectExample(ResultPart):
    """A rejected row, shortened."""

    file: str
    """File it comes from."""
    text: str
    """Original text, cut to 200 characters; empty where the source holds personal data."""
    reasons: tuple[str, ...]
    """All its reasons."""


class SourceReceipt(ResultPart):
    """What came in, what was kept and what was not."""

    source: str
    """Name of the source."""
    kind: str
    """Kind of the source."""
    location: str
    """Path, table or URL, without secrets."""
    rows_in: int
    """Records found, counted before anything was parsed."""
    kept: int
    """Rows written to ``raw.<source>``."""
    rejected: int
    """Rows written to ``rejects.<source>``."""
    files_left_out: int = 0
    """Unreadable files; each has one line in the rejects, which is not among ``rows_in``."""
    lines: int | None = None
    """Physical lines: headers + blanks + rows_in. None where files are not read line by line."""
    headers: int | None = None
    """Header lines."""
    blanks: int | None = None
    """Blank lines."""
    files: int = 0
    """Number of files."""
    bytes: int = 0
    """Size of all files."""
    digest: str = ""
    """Hash over names and contents (or, elsewhere than on local disk, sizes and times) of all
    files."""
    seconds: float
    """Time it took."""
    columns: tuple[ColumnReceipt, ...]
    """Columns in order."""
    file_receipts: tuple[FileReceipt, ...] = ()
    """Receipts of the first 500 files."""
    reasons: tuple[RejectReason, ...] = ()
    """The 100 most frequent reasons."""
    examples: tuple[RejectExample, ...] = ()
    """Up to ten rejected rows."""
    problems: tuple[IngestProblem, ...] = ()
    """The first 200 problems."""
    problems_in_all: int = 0
    """Number of problems, also those not listed."""

    @property
    def reject_fraction(self) -> float:
        """Share of records that were rejected."""
        return (self.rejected - self.files_left_out) / self.rows_in if self.rows_in else 0.0


class IngestResult(StepResult):
    """The receipts of all sources."""

    step: ClassVar[str] = "ingest"
    sources: dict[str, SourceReceipt] = Field(default_factory=dict)
    """Receipt by name of the source."""
