"""``python -m crisp_spark``: the same as ``crisp``."""

import sys

from crisp_spark.cli.main import main

sys.exit(main())
