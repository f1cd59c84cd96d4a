"""Packages that families need beside Spark, and that are not there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from crisp_spark.spec.estimators import infos

if TYPE_CHECKING:
    from crisp_spark.spec.modeling import ModelingSpec


def missing_libraries(spec: ModelingSpec) -> tuple[str, ...]:
    """Return a sentence for each family whose package is not installed here.

    Args:
        spec: What is tried.
    """
    found = []
    for at, family in enumerate(spec.families):
        name = infos(family.kind)[0].library
        if name and find_spec(name) is None:
            found.append(
                f"modeling.families[{at}].kind: the package {name} is not installed; "
                f"pip install 'crisp-spark[{name}]'"
            )
    return tuple(found)
