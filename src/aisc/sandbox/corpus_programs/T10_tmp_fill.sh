#!/bin/sh
# attack: fill /tmp
# threat: T10
# expect: DISK_LIMIT
echo TRIED
dd if=/dev/zero of=/tmp/fill bs=64k 2>/dev/null
[ "$(stat -c %s /tmp/fill)" -gt 9000000 ] && echo "GAINED more than the limit"
sleep 30
