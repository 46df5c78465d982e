#!/bin/sh
# attack: leave a note for another run in /tmp, /dev/shm, /output, /dev/mqueue
# threat: T14
# expect: COMPLETED
# pair: yes
echo TRIED
if [ "$1" = writer ]; then
    for folder in /tmp /dev/shm /output /dev/mqueue /var/tmp /run; do (echo note >"$folder/note") 2>/dev/null; done
    sleep 4
    exit 0
fi
for _ in 1 2 3 4; do
    for folder in /tmp /dev/shm /output /dev/mqueue /var/tmp /run; do [ -e "$folder/note" ] && echo "GAINED $folder/note"; done
    sleep 0.5
done
exit 0
