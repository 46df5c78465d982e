#!/bin/sh
# Builds the image of one method and saves it as a `docker save` archive.
#
#   build_image.sh METHOD OUT.tar
#
# Needs a Docker daemon that holds aisc/sandbox (`images/sandbox/build_base.sh python`), and once a package index for pip;
# PIP_INDEX_URL should name one with builds of torch for processors alone: others bring gigabytes that are of no use here.
# WHEELHOUSE names the folder that keeps the wheels between builds; PYTHON the Python that runs pip (default: python3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
method=${1:-}
out=${2:-}
if [ -z "$method" ] || [ -z "$out" ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if ! grep -q "\"$method\"" "$here/run.py"; then
    echo "run.py knows no method $method." >&2
    exit 2
fi
python=${PYTHON:-python3}
site=${WHEELHOUSE:-${XDG_CACHE_HOME:-$HOME/.cache}/aisc/$(basename "$here")-site}
if [ ! -f "$site/complete" ]; then
    rm -rf "$site"
    # For the sandbox's Python, whatever Python runs pip here.
    "$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary=:all: \
        --python-version 3.11 --implementation cp --platform "manylinux_2_28_$(uname -m)" \
        --platform "manylinux_2_27_$(uname -m)" --platform "manylinux2014_$(uname -m)" --target "$site" \
        -r "$here/requirements.txt"
    rm -rf "$site/bin" "$site/torch/include" "$site/torch/test"
    find "$site" -name '*.pyi' -delete
    touch "$site/complete"
fi
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/starter"
cp -R "$site" "$context/site"
cp "$here"/*.py "$context/starter/"
cp -R "$here/weights" "$context/starter/weights"
cp "$here/Dockerfile" "$context/"
chmod -R a+rX "$context"
tag="aisc-starter/$(basename "$here")-$method"
docker build --quiet --network=none --build-arg "METHOD=$method" -t "$tag" "$context" >/dev/null
docker save -o "$out" "$tag"
echo "$out: $(($(wc -c <"$out") / 1048576)) MiB, of which $(du -sm "$site" | cut -f1) are wheels"
