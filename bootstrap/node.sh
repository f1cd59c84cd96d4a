#!/usr/bin/env bash
# Build the Python environment of one crisp package on this machine: an EMR bootstrap action.
# usage: node.sh MANIFEST    MANIFEST: s3://.../packages/<digest>/manifest.json, or a local file
#
# Uses no package index and never the system's Python packages. Running it again changes nothing;
# anything unexpected ends it with an exit code other than 0 and a line that says why.
#
# CRISP_ROOT    where environments go (default /opt/crisp): <root>/<digest>/bin/python
# CRISP_PYTHON  interpreter to build on (default: the machine's Python of the manifest's version)
set -euo pipefail
umask 022
started=$SECONDS
step="starting"
work=""

finish() {
    status=$?
    [ -z "$work" ] || rm -rf "$work"
    if [ "$status" -ne 0 ]; then
        echo "crisp bootstrap: FAILED while $step (exit code $status) on $(uname -n)" >&2
        # EMR starts to use a node only after exit code 0, so this ends the cluster's start.
        exit "$status"
    fi
}
trap finish EXIT

fail() {
    echo "crisp bootstrap: $1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: node.sh MANIFEST"
manifest=$1
root=${CRISP_ROOT:-/opt/crisp}

bring() { # bring FROM TO
    case $1 in
    s3://*) aws s3 cp --only-show-errors "$1" "$2" ;;
    *) cp -- "$1" "$2" ;;
    esac
}

check() { # check FILE SHA256
    echo "$2  $1" | sha256sum --check --status --strict ||
        fail "$(basename "$1") has another checksum than the manifest says: got $(sha256sum "$1" | cut -d' ' -f1), expected $2"
}

step="making $root"
if ! mkdir -p "$root" 2>/dev/null || [ ! -w "$root" ]; then
    sudo mkdir -p "$root"
    sudo chown "$(id -u):$(id -g)" "$root"
    sudo chmod 755 "$root"
fi
exec 9>"$root/.lock"
flock 9 # two clusters' scripts never meet on a node, two tries of one may
work=$(mktemp -d "$root/.work-XXXXXX")

step="reading the manifest $manifest"
bring "$manifest" "$work/manifest.json"
base=${CRISP_PYTHON:-}
if [ -z "$base" ]; then
    for candidate in /usr/bin/python3.11 /usr/local/bin/python3.11 "$(command -v python3.11 || true)"; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            base=$candidate
            break
        fi
    done
fi
[ -n "$base" ] || fail "this machine has no python3.11"

# Prints what the manifest says as shell words; refuses what this machine cannot run.
"$base" -I - "$work/manifest.json" >"$work/facts" <<'PYTHON'
import json, platform, re, shlex, sys

with open(sys.argv[1], encoding="utf-8") as file:
    manifest = json.load(file)
if manifest.get("format") != 1:
    sys.exit(f"crisp bootstrap: unknown manifest format {manifest.get('format')!r}")
machine, python = platform.machine(), "%d.%d" % sys.version_info[:2]
if manifest["architecture"] != machine:
    sys.exit(f"crisp bootstrap: the package is for {manifest['architecture']}, this machine is {machine}")
if manifest["python"] != python:
    sys.exit(f"crisp bootstrap: the package is for Python {manifest['python']}, {sys.executable} is {python}")
facts = {"digest": manifest["code_digest"]}
for file in manifest["files"]:
    if file["role"] in ("wheel", "wheelhouse"):
        facts[file["role"]] = file["key"]
        facts[file["role"] + "_sha"] = file["sha256"]
if not re.fullmatch(r"[0-9a-f]{16,64}", facts["digest"]):
    sys.exit(f"crisp bootstrap: bad digest {facts['digest']!r}")
for name in ("digest", "wheel", "wheel_sha", "wheelhouse", "wheelhouse_sha"):
    print(f"{name}={shlex.quote(facts[name])}")
PYTHON
# shellcheck source=/dev/null
. "$work/facts"

environment=$root/$digest
marker=$environment/.crisp-ready
if [ -f "$marker" ] && [ "$(cat "$marker")" = "$digest" ]; then
    "$environment/bin/python" -I -c "import crisp_spark" || fail "$environment is marked as ready, but broken"
    echo "crisp bootstrap: $environment is there already"
    exit 0
fi

step="fetching the package $digest"
case $manifest in
*/packages/"$digest"/manifest.json) place=${manifest%/packages/"$digest"/manifest.json} ;;
*) fail "the manifest must lie at .../packages/$digest/manifest.json, got $manifest" ;;
esac
bring "$place/$wheel" "$work/$(basename "$wheel")"
bring "$place/$wheelhouse" "$work/wheelhouse.tar"
step="checking the package $digest"
check "$work/$(basename "$wheel")" "$wheel_sha"
check "$work/wheelhouse.tar" "$wheelhouse_sha"
tar -xf "$work/wheelhouse.tar" -C "$work"

step="unpacking the installer"
"$base" -I - "$work" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = (work / "wheels").glob("uv-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (name,) = [one for one in archive.namelist() if one.endswith(".data/scripts/uv")]
    (work / "uv").write_bytes(archive.read(name))
(work / "uv").chmod(0o755)
PYTHON

export UV_OFFLINE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR="$work/cache" UV_NO_PROGRESS=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
install() {
    "$work/uv" pip install --quiet --python "$environment/bin/python" --no-index --no-build \
        --find-links "$work/wheels" --compile-bytecode "$@"
}

step="building $environment"
rm -rf "$environment" # without a marker it is what an earlier, broken try left
"$work/uv" venv --quiet --no-project --python "$base" "$environment"
step="installing the wheels"
install --require-hashes --requirement "$work/requirements.txt"
step="installing crisp_spark"
install --no-deps "$work/$(basename "$wheel")"
step="checking the environment"
"$work/uv" pip check --quiet --python "$environment/bin/python"
"$environment/bin/python" -I -c "import crisp_spark"

step="marking the environment as ready"
printf '%s\n' "$digest" >"$work/marker"
mv "$work/marker" "$marker"
echo "crisp bootstrap: built $environment in $((SECONDS - started)) s"
