"""What makes a step's work the same work: code, spec, inputs, source files, versions.

The digest of these ingredients is the stage key. A step whose key has a commit is not run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from glob import glob
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from crisp_spark.engine.commits import Commit
from crisp_spark.flow import Step
from crisp_spark.results.registry import result_type
from crisp_spark.run.places import is_s3, s3_prints
from crisp_spark.run.wiring import wiring_file
from crisp_spark.spec.base import digest
from crisp_spark.spec.hooks import hook_file, hook_references
from crisp_spark.spec.project import ProjectSpec

_CODE: Mapping[str, tuple[str, ...]] = {
    "profile": ("understanding",),
    "quality": ("understanding",),
    "sweep": ("modeling", "preparation"),
    "evaluate": ("evaluation", "modeling"),
    "decide": ("evaluation/decide",),
    "report": ("reporting", "results", "business"),
}
"""Folders or files of the package whose change makes a step run again; its phase by default."""

_PROSE = frozenset({"rules", "description", "unit", "patterns"})
_ENDPOINT = frozenset({"endpoint"})
_NOT_AN_INGREDIENT = dict.fromkeys(("ingest", "derive", "sweep"), _PROSE) | {
    "deploy": _ENDPOINT,  # how it is served makes no other model
    "monitor": _PROSE | _ENDPOINT,
}
"""Keys below a step's spec that do not change what it does."""

_HASH_LIMIT_BYTES = 256 << 20


def stage_key(ingredients: Mapping[str, str]) -> str:
    """Return the key of the work with these ingredients (32 hex digits of SHA-256)."""
    return digest(dict(ingredients))[:32]


def ingredients_of(
    step: Step,
    spec: ProjectSpec,
    *,
    project_dir: Path,
    inputs: Mapping[str, Commit],
    run_id: str,
) -> dict[str, str]:
    """Return everything that the step's work follows from, as digests by name.

    Args:
        step: The step.
        spec: The resolved project.
        project_dir: Folder that relative source paths start from.
        inputs: Commit of each step whose tables or results are read.
        run_id: Id of the run; an ingredient only of sources that have no fingerprint.
    """
    piece = {path: _prune(step.name, _at(spec, path)) for path in step.spec}
    found = {
        "step": step.name,
        "code": code_digest(step),
        "spec": digest(piece),
        "pyspark": pyspark_line(),
    }
    found |= {f"hook:{name}": value for name, value in _hooks(piece, project_dir)}
    for table in step.reads:
        found |= _table_ingredients(table, inputs)
    for result in step.results:
        if result in inputs:
            found[f"result:{result}"] = _result_ingredient(step, inputs[result])
    if step.name == "ingest":
        found["sources"] = _sources(_at(spec, "data"), project_dir, run_id)
    return found


def pyspark_line() -> str:
    """Return major and minor version of pyspark, or ``none``."""
    try:
        version = metadata.version("pyspark")
    except metadata.PackageNotFoundError:
        try:
            import pyspark
        except ImportError:
            return "none"
        version = pyspark.__version__
    return ".".join(version.split(".")[:2])


@cache
def code_digest(step: Step) -> str:
    """Digest of the source files that carry out the step."""
    package = resources.files("crisp_spark")
    places = (*_CODE.get(step.name, (step.phase.value,)), wiring_file(step))
    content = hashlib.sha256()
    for place in places:
        for name, file in sorted(_sources_below(place, package.joinpath(place))):
            content.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()


def _sources_below(name: str, place: Traversable) -> Iterator[tuple[str, Traversable]]:
    if place.is_file():
        yield name, place
        return
    for child in place.iterdir():
        if child.is_dir() and child.name != "__pycache__":
            yield from _sources_below(f"{name}/{child.name}", child)
        elif not child.name.endswith(".pyc") and child.is_file():
            yield f"{name}/{child.name}", child


def _table_ingredients(table: str, inputs: Mapping[str, Commit]) -> dict[str, str]:
    """Content of a table, so that an input that was made again but came out equal is no change."""
    found = {}
    for commit in inputs.values():
        for name, published in commit.tables.items():
            if name == table or (table.endswith(".*") and name.startswith(table[:-1])):
                content = sorted((file.sha256, file.rows) for file in published.files if file.rows)
                found[f"table:{name}"] = digest([published.spark_schema, content])
    return found


def _result_ingredient(step: Step, commit: Commit) -> str:
    """The commit, or a digest of the pieces that are all the step reads of its result."""
    own = [piece.partition(".")[2] for piece in step.pieces if piece.startswith(f"{commit.step}.")]
    if not own:
        return commit.stage_key
    result = result_type(commit.step).model_validate(commit.result)
    return digest({path: _at(result, path) for path in own})


def _at(model: BaseModel, path: str) -> Any:
    """Plain data of a field, or of a property: what it is worth, without what it is worded like."""
    value: Any = model
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return to_jsonable_python(value, by_alias=True)


def _prune(step: str, value: Any) -> Any:
    ignored = _NOT_AN_INGREDIENT.get(step)
    if not ignored:
        return value
    if isinstance(value, dict):
        return {
            key: _prune(step, child)
            for key, child in value.items()
            if key not in ignored or not isinstance(child, list | str)
        }
    if isinstance(value, list):
        return [_prune(step, child) for child in value]
    return value


def _hooks(piece: Mapping[str, Any], project_dir: Path) -> Iterator[tuple[str, str]]:
    for reference in sorted(set(hook_references(dict(piece)))):
        yield reference, hashlib.sha256(hook_file(reference, project_dir).read_bytes()).hexdigest()


def _sources(data: Mapping[str, Any], project_dir: Path, run_id: str) -> str:
    """Fingerprint of the source files; sources without files are new in every run."""
    prints: dict[str, Any] = {}
    for name, source in data["sources"].items():
        path = source.get("path")
        if source.get("kind") == "sql":
            continue
        if path is None:
            prints[name] = run_id
            continue
        patterns = path if isinstance(path, list) else [path]
        prints[name] = [_print_of(pattern, project_dir, run_id) for pattern in patterns]
    return digest(prints)


def _print_of(pattern: str, project_dir: Path, run_id: str) -> Any:
    if is_s3(pattern):
        return s3_prints(pattern)
    if urlsplit(pattern).scheme not in {"", "file"}:
        return [pattern, run_id]
    return [[file.name, *_file_print(file)] for file in source_files(pattern, project_dir)]


def source_files(pattern: str, project_dir: Path) -> list[Path]:
    """Return the local files that a source's path or glob names, sorted; none for other schemes."""
    parts = urlsplit(pattern)
    if parts.scheme not in {"", "file"}:
        return []
    place = unquote(parts.path) if parts.scheme else str(project_dir / pattern)
    found = [Path(match) for match in sorted(glob(place, recursive=True))]  # noqa: PTH207 - absolute patterns
    files = [
        file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
    ]
    return [file for file in files if file.is_file()]


def _file_print(file: Path) -> list[Any]:
    stat = file.stat()
    if stat.st_size > _HASH_LIMIT_BYTES:
        return [stat.st_size, stat.st_mtime_ns]
    with file.open("rb") as content:
        return [stat.st_size, hashlib.file_digest(content, "sha256").hexdigest()]
