#!/bin/sh
# attack: fill /dev/shm
# threat: T10
# expect: DISK_LIMIT
echo TRIED
dd if=/dev/zero of=/dev/shm/fill bs=64k 2>/dev/null
[ "$(stat -c %s /dev/shm/fill)" -gt 9000000 ] && echo "GAINED more than the limit"
sleep 30
