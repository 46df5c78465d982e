#!/bin/sh
# Install the Triton server that tests start, into $AISC_TRITON or .triton/ of the checkout (1.2 GB, half a minute).
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
exec sh "$here/images/victims/install.sh" "${AISC_TRITON:-$here/.triton}" torch
