#!/usr/bin/env bash
# Resolve requirements-*.in into pinned, hashed constraints without addresses.
set -euo pipefail
cd "$(dirname "$0")"
for line in spark41 spark35; do
    ../.venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header \
        requirements.in "requirements-$line.in" --output-file "constraints-$line.txt"
done
