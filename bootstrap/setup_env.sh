#!/usr/bin/env bash
# Make a virtual environment from pinned, hashed constraints and put crisp_spark into it.
# usage: setup_env.sh PYTHON FOLDER CONSTRAINTS
set -euo pipefail
python=$1 folder=$2 constraints=$3
here=$(cd "$(dirname "$0")/.." && pwd)

if ! command -v "$python" >/dev/null; then
    echo "Python 3.11 is missing ('$python' was not found): install it, or run: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != "3.11" ]; then
    echo "Python 3.11 is needed (the only minor on both EMR lines), '$python' is $version; run: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

rm -f "$folder/.ready"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
# The constraints are complete, so nothing is resolved (an old pip trips over extras of packages
# that have since been released anew); pip checks every hash, and at the end that all fit together.
# The second call builds nothing but links to this checkout.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$constraints"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable "$here"
fit=$("$folder/bin/python" -m pip check --disable-pip-version-check) || { echo "$fit" >&2; exit 1; }
touch "$folder/.ready"
