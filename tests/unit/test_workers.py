"""Archives on the import path are read again only where they have changed."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import zipfile

SCRIPT = """
import importlib, sys, zipimport
from crisp_spark.modeling.workers import keep_archives_read
reads = []
original = zipimport._read_directory
zipimport._read_directory = lambda archive: reads.append(archive) or original(archive)
keep_archives_read()
keep_archives_read()
archive = sys.argv[1]
sys.path.insert(0, archive)
import one
import part.one
importlib.invalidate_caches()  # not seen before: read once more
before = len(reads)
for _ in range(5):
    importlib.invalidate_caches()
print(len(reads) - before)
import zipfile
with zipfile.ZipFile(archive, "a") as more:
    more.writestr("two.py", "VALUE = 2")
    more.writestr("part/two.py", "VALUE = 3")
importlib.invalidate_caches()
import two
import part.two
print(two.VALUE, part.two.VALUE)
import os
os.remove(archive)
importlib.invalidate_caches()
try:
    import three
except ImportError:
    print("gone")
"""


def test_an_archive_is_read_again_only_where_it_has_changed(tmp_path):
    archive = tmp_path / "modules.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("one.py", "VALUE = 1")
        made.writestr("part/__init__.py", "")
        made.writestr("part/one.py", "VALUE = 1")
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(archive)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert told.stdout.split() == ["0", "2", "3", "gone"]
    # This process is no worker: it is as it was.
    assert importlib.invalidate_caches() is None
