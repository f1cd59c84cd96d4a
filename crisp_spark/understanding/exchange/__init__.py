"""Rules of other tools as rules of a project, and back: dbt, Glue DQDL, Great Expectations.

What has no equal is named, never dropped silently; where an equal differs in a corner, that is
said as well. Plain text in, plain text out: no Spark.
"""

from __future__ import annotations

from crisp_spark.understanding.exchange.carried import Exported, ImportedRules
from crisp_spark.understanding.exchange.dbt_reading import import_dbt
from crisp_spark.understanding.exchange.dbt_writing import export_dbt
from crisp_spark.understanding.exchange.dqdl_reading import import_dqdl
from crisp_spark.understanding.exchange.dqdl_writing import export_dqdl

__all__ = ["Exported", "ImportedRules", "export_dbt", "export_dqdl", "import_dbt", "import_dqdl"]
