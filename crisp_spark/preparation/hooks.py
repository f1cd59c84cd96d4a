"""Functions of the project, ``module:function``: loaded, called and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pyspark import cloudpickle
from pyspark.sql import DataFrame

from crisp_spark.errors import SpecError
from crisp_spark.spec.hooks import hook_file

Hook = Callable[[DataFrame], DataFrame]


def load_hook(place: str, reference: str, folder: Path | None) -> Hook:
    """Load ``module:function`` from beside the project file.

    The module is shipped to the workers by value, so that functions in it may be used inside tasks
    without installing anything.

    Args:
        place: Where the reference stands, for messages.
        reference: ``module:function``.
        folder: Folder of the project file.

    Raises:
        SpecError: There is no such module or function, or importing it failed.
    """
    if folder is None:
        raise SpecError(f"{place}: python hook {reference!r} needs the folder of a project file")
    file = hook_file(reference, folder)
    try:
        module = _module(file)
    except Exception as error:
        raise SpecError(
            f"{place}: {file.name} cannot be imported ({type(error).__name__}: {error})",
            hint="a hook may import what is installed, but no other file of the project",
        ) from error
    name = reference.partition(":")[2]
    found = getattr(module, name, None)
    if not callable(found):
        raise SpecError(f"{place}: {file.name} has no function {name!r}")
    hook: Hook = found
    return hook


def call_hook(place: str, hook: Hook, frame: DataFrame) -> DataFrame:
    """Call a hook and check that it returned a frame with the reserved columns still there.

    Raises:
        SpecError: It did not.
    """
    made: object = hook(frame)
    if not isinstance(made, DataFrame):
        raise SpecError(f"{place}: the function must return a DataFrame, got {type(made).__name__}")
    kept = set(made.columns)
    lost = [name for name in frame.columns if name.startswith("_crisp_") and name not in kept]
    if lost:
        raise SpecError(
            f"{place}: the function took away {', '.join(lost)}",
            hint="add or change columns with withColumn; keep those that start with _crisp_",
        )
    return made


def _module(file: Path) -> ModuleType:
    source = file.read_bytes()
    # The content is part of the name: a changed file is a new module, also in one process.
    unique = f"_crisp_hook_{sha256(str(file).encode() + source).hexdigest()[:16]}"
    if unique in sys.modules:
        return sys.modules[unique]
    found = spec_from_file_location(unique, file)
    if found is None or found.loader is None:
        raise ImportError(f"{file.name} is not Python source")
    module = module_from_spec(found)
    sys.modules[unique] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    return module
