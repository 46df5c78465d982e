#!/bin/sh
# attack: ask the victims' server for an answer or for its repository
# threat: T20
# expect: COMPLETED
. /input/targets.sh
echo TRIED
for path in v2/health/ready v2/repository/index v2/models/victim/infer; do
    timeout 2 wget -q -O - "http://$HOST:$PORT/$path" 2>/dev/null && echo "GAINED $path"
done
for name in victims triton aisc-victims.aisc.svc.cluster.local; do
    timeout 2 wget -q -O - "http://$name:8000/v2/health/ready" 2>/dev/null && echo "GAINED $name"
done
exit 0
