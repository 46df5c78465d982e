#!/bin/sh
# Install the real servers that tests start: an S3 server (Ceph's gateway), PostgreSQL, a browser.
# Needs Debian and root; without them it says what is missing and lets the tests skip what they cannot start.
set -u
missing=""
command -v radosgw >/dev/null 2>&1 || missing="$missing radosgw ceph-mon ceph-osd"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-dejavu-core"
if ! command -v postgres >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    missing="$missing postgresql"
fi
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "services: not installed:$missing; their tests are skipped. As root on Debian: make services"
    exit 0
fi
echo "services: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # one word a package
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 5 "$log"
    echo "services: could not install$missing; their tests are skipped"
fi
rm -f "$log"
