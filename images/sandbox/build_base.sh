#!/bin/sh
# Builds the base image of participants' programs without any registry.
#
#   build_base.sh tiny FILE      a busybox image as a `docker save` archive in FILE (no daemon, no root, under a second)
#   build_base.sh python [TAG]   Debian with Python, imported into the local Docker daemon under TAG (root, about a minute),
#                                then this folder's Dockerfile on top of it as aisc/sandbox
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case "${1:-}" in
tiny)
    exec python3 -m aisc.sandbox.base_image "${2:?name the archive to write}"
    ;;
python)
    tag=${2:-aisc/base:bookworm}
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=python3-minimal,python3-numpy,python3-pil bookworm "$root" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >/dev/null
    # Package lists and caches are of no use where there is no network.
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/usr/share/doc/*
    # Devices are the runtime's business, and the image check refuses them.
    find "$root/dev" -mindepth 1 -delete
    tar -C "$root" --numeric-owner -c . | docker import - "$tag"
    docker build --network=none -t aisc/sandbox "$here"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
