#!/bin/sh
# Start Triton on a victims' repository with everything closed but inference, health, metadata and metrics.
# Usage: serve.sh REPOSITORY. Environment: TRITONSERVER (the program), AISC_TRITON_HOST, AISC_TRITON_HTTP_PORT,
# AISC_TRITON_GRPC_PORT, AISC_TRITON_METRICS_PORT, AISC_TRITON_MEMORY_KEY (lets a caller on the same machine register
# shared memory over gRPC; unset: nobody can), AISC_TRITON_REGIONS (what the names
# of the memory between server and models begin with).
set -eu
repository=$1
host=${AISC_TRITON_HOST:-127.0.0.1}
# A key that is never told to anybody: these endpoints stay shut until the server ends.
nobody=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
memory=${AISC_TRITON_MEMORY_KEY:-$nobody}
shut=model-config,model-repository,statistics,trace,logging

# Each model by its name: a model that does not load stops the server, and none is loaded later.
set --
for folder in "$repository"/*/; do
    set -- "$@" "--load-model=$(basename "$folder")"
done

exec "${TRITONSERVER:-tritonserver}" \
    "--model-repository=$repository" --model-control-mode=explicit "$@" \
    --exit-on-error=true --strict-readiness=true --disable-auto-complete-config \
    "--http-address=$host" "--http-port=${AISC_TRITON_HTTP_PORT:-8000}" \
    "--grpc-address=$host" "--grpc-port=${AISC_TRITON_GRPC_PORT:-8001}" \
    "--metrics-address=$host" "--metrics-port=${AISC_TRITON_METRICS_PORT:-8002}" \
    "--http-restricted-api=shared-memory,$shut:aisc-nobody=$nobody" \
    "--grpc-restricted-protocol=$shut:aisc-nobody=$nobody" \
    "--grpc-restricted-protocol=shared-memory:aisc-memory=$memory" \
    "--backend-config=python,shm-region-prefix-name=${AISC_TRITON_REGIONS:-aisc-triton}" \
    --allow-gpu-metrics=false --log-verbose=0 --exit-timeout-secs=5
