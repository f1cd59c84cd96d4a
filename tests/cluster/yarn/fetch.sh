#!/usr/bin/env bash
# Fetch Hadoop's daemons of one version with Maven, check every jar, print the folder.
# usage: fetch.sh HADOOP_VERSION [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:?usage: fetch.sh HADOOP_VERSION [FOLDER]}
folder=${2:-$here/../../../.cache/yarn/$version}
sums=$here/hadoop-$version.sha256
if [ ! -f "$sums" ]; then
    echo "yarn: no daemons are known for Hadoop '$version'; known: $(cd "$here" && ls hadoop-*.sha256 | sed 's/hadoop-//; s/.sha256//' | tr '\n' ' ')" >&2
    exit 64
fi

whole() { [ -d "$1" ] && (cd "$1" && sha256sum --check --strict --status "$sums"); }

if ! whole "$folder"; then
    command -v mvn >/dev/null || { echo "yarn: Maven is missing: install it (Debian: apt install maven) and try again" >&2; exit 69; }
    mkdir -p "$(dirname "$folder")"
    fresh=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    # Drivers of databases and natives of other systems are of no use here.
    if ! mvn --batch-mode --quiet --file "$here/hadoop-$version.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DoutputDirectory="$fresh" -DincludeScope=runtime \
        -DexcludeArtifactIds=mssql-jdbc,netty-transport-native-kqueue,netty-resolver-dns-native-macos,netty-transport-classes-kqueue \
        >"$fresh/.log" 2>&1; then
        echo "yarn: Maven could not fetch the daemons (is Maven Central reachable?):" >&2
        tail -n 5 "$fresh/.log" >&2
        exit 69
    fi
    if ! whole "$fresh"; then
        echo "yarn: what Maven fetched differs from $sums:" >&2
        (cd "$fresh" && sha256sum --check --strict --quiet "$sums") >&2 || true
        exit 65
    fi
    rm -rf "$folder"
    mv "$fresh" "$folder"
    trap - EXIT
fi
cd "$folder" && pwd
