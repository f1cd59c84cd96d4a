"""The only door to Great Expectations: suites, genuine validation results, pages without network.

Rules are judged by this package in one pass; what leaves through this door is what Great
Expectations itself would read and write: an expectation suite, and a validation result whose
numbers are our counts. Each expectation carries the declared rule in its ``meta``, so that a suite
of ours comes back without loss.
"""

from __future__ import annotations

import os

from crisp_spark.understanding.expectations.exporting import configuration, export_suite
from crisp_spark.understanding.expectations.importing import ImportedSuite, import_suite
from crisp_spark.understanding.expectations.pages import docs_index, docs_page, offline
from crisp_spark.understanding.expectations.results import validation_result

# Read when the library is first imported, which happens inside the functions.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

__all__ = [
    "ImportedSuite",
    "configuration",
    "docs_index",
    "docs_page",
    "export_suite",
    "import_suite",
    "offline",
    "validation_result",
]
