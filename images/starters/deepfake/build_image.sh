#!/bin/sh
# Builds the image of one method and saves it as a `docker save` archive.
#
#   build_image.sh METHOD OUT.tar
#
# Needs a Docker daemon that holds aisc/sandbox (`images/sandbox/build_base.sh python`), and once a package index for pip.
# WHEELHOUSE names the folder that keeps the wheels between builds; PYTHON the Python that runs pip (default: python3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
method=${1:-}
out=${2:-}
if [ -z "$method" ] || [ -z "$out" ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [ "$method" != random ] && [ ! -f "$here/weights/$method.onnx" ]; then
    echo "No weights for the method $method: $(cd "$here/weights" && echo *.onnx) and random are there." >&2
    exit 2
fi
python=${PYTHON:-python3}
site=${WHEELHOUSE:-${XDG_CACHE_HOME:-$HOME/.cache}/aisc/deepfake-site}
if [ ! -f "$site/complete" ]; then
    rm -rf "$site"
    # For the sandbox's Python, whatever Python runs pip here; onnxruntime's other needs serve its tools only.
    "$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
        --python-version 3.11 --implementation cp --platform "manylinux_2_28_$(uname -m)" \
        --platform "manylinux_2_27_$(uname -m)" --platform "manylinux2014_$(uname -m)" --target "$site" \
        -r "$here/requirements.txt"
    rm -rf "$site/bin" "$site/onnxruntime/tools" "$site/onnxruntime/transformers" "$site/onnxruntime/quantization"
    find "$site" -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
    find "$site" -name '*.pyi' -delete
    touch "$site/complete"
fi
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/starter/weights"
cp -R "$site" "$context/site"
cp "$here"/*.py "$context/starter/"
cp "$here/Dockerfile" "$context/"
for weights in "$here/weights/$method".*; do
    [ ! -f "$weights" ] || cp "$weights" "$context/starter/weights/"
done
chmod -R a+rX "$context"
tag="aisc-starter/deepfake-$method"
docker build --quiet --network=none --build-arg "METHOD=$method" -t "$tag" "$context" >/dev/null
docker save -o "$out" "$tag"
echo "$out: $(($(wc -c <"$out") / 1048576)) MiB, of which $(du -sm "$site" | cut -f1) are wheels"
