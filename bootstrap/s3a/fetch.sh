#!/usr/bin/env bash
# Fetch the S3A connector for one Hadoop version with Maven, check every jar, print the folder.
# EMR brings its own connector; this one is for Spark from pip, on a laptop or in tests.
# usage: fetch.sh HADOOP_VERSION [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:?usage: fetch.sh HADOOP_VERSION [FOLDER]}
folder=${2:-$here/../../.cache/s3a/$version}
sums=$here/hadoop-$version.sha256
if [ ! -f "$sums" ]; then
    echo "s3a: no connector is known for Hadoop '$version'; known: $(cd "$here" && ls hadoop-*.sha256 | sed 's/hadoop-//; s/.sha256//' | tr '\n' ' ')" >&2
    exit 64
fi

whole() { [ -d "$1" ] && (cd "$1" && sha256sum --check --strict --status "$sums"); }

if ! whole "$folder"; then
    command -v mvn >/dev/null || { echo "s3a: Maven is missing: install it (Debian: apt install maven) and try again" >&2; exit 69; }
    mkdir -p "$(dirname "$folder")"
    fresh=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    # What Spark has on its class path already must not come twice.
    if ! mvn --batch-mode --quiet --file "$here/hadoop-$version.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DoutputDirectory="$fresh" \
        -DexcludeGroupIds=io.netty,org.apache.httpcomponents,commons-codec,commons-logging,org.slf4j,joda-time,com.fasterxml.jackson.core >"$fresh/.log" 2>&1; then
        echo "s3a: Maven could not fetch the connector (is Maven Central reachable?):" >&2
        tail -n 5 "$fresh/.log" >&2
        exit 69
    fi
    if ! whole "$fresh"; then
        echo "s3a: what Maven fetched differs from $sums:" >&2
        (cd "$fresh" && sha256sum --check --strict --quiet "$sums") >&2 || true
        exit 65
    fi
    rm -rf "$folder"
    mv "$fresh" "$folder"
    trap - EXIT
fi
cd "$folder" && pwd
