#!/bin/sh
# attack: files without end
# threat: T40
# expect: DISK_LIMIT
# collect: none
echo TRIED
i=0
while : >"/output/f$i"; do
    i=$((i + 1))
done 2>/dev/null
sleep 30
