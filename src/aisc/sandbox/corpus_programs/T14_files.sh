#!/bin/sh
# attack: leave a note for another run in /tmp, /dev/shm, /output, /dev/mqueue
# threat: T14
# expect: COMPLETED
# pair: yes
echo TRIED
now=$(date +%s)
[ "$now" -gt "${AISC_MEET:=$((now + 1))}" ] && echo LATE
if [ "$1" = writer ]; then
    for folder in /tmp /dev/shm /output /dev/mqueue /var/tmp /run; do (echo note >"$folder/note") 2>/dev/null; done
    sleep $((AISC_MEET - now + 3))
    exit 0
fi
sleep $((AISC_MEET - now + 1))
for _ in 1 2 3; do
    for folder in /tmp /dev/shm /output /dev/mqueue /var/tmp /run; do [ -e "$folder/note" ] && echo "GAINED $folder/note"; done
    sleep 0.3
done
exit 0
