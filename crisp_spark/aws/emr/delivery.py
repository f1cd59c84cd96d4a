"""What a plan needs to know of a published package."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

_ENVIRONMENTS = "/opt/crisp"


class Package(Protocol):
    """A published package, as far as plans look at it."""

    @property
    def manifest_uri(self) -> str:
        """S3 URI of the manifest."""
        ...

    @property
    def bootstrap_uri(self) -> str:
        """S3 URI of the node script."""
        ...

    @property
    def environment_uri(self) -> str | None:
        """S3 URI of the packed environment, for clusters that are not ours."""
        ...

    @property
    def code_digest(self) -> str:
        """Digest of the code."""
        ...

    @property
    def architecture(self) -> str:
        """Processor type of the compiled parts."""
        ...

    @property
    def python(self) -> str:
        """Python minor version, or the path of the interpreter that the node script builds."""
        ...


class PackageRefs(BaseModel):
    """The part of a published package that a plan keeps."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    manifest_uri: str
    bootstrap_uri: str
    environment_uri: str | None
    code_digest: str
    architecture: str
    python: str

    @property
    def interpreter(self) -> str:
        """Path of the Python that the node script builds on each machine."""
        if self.python.startswith("/"):
            return self.python
        return f"{_ENVIRONMENTS}/{self.code_digest}/bin/python"
