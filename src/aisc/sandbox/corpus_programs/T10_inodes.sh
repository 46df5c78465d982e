#!/bin/sh
# attack: use up the inodes of /tmp with empty files
# threat: T10
# expect: DISK_LIMIT
echo TRIED
i=0
while : >"/tmp/f$i"; do
    i=$((i + 1))
    [ $i -gt 100000 ] && echo "GAINED 100000 files" && exit 0
done 2>/dev/null
sleep 30
