#!/bin/sh
# attack: start more processes than allowed and leave with exit status 0
# threat: T06
# expect: PROCESS_LIMIT
echo TRIED
i=0
while [ $i -lt 400 ]; do
    sleep 30 &
    i=$((i + 1))
done 2>/dev/null
exit 0
