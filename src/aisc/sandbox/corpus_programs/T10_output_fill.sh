#!/bin/sh
# attack: fill /output
# threat: T10
# expect: DISK_LIMIT
echo TRIED
dd if=/dev/zero of=/output/fill bs=64k 2>/dev/null
[ "$(stat -c %s /output/fill)" -gt 9000000 ] && echo "GAINED more than the limit"
sleep 30
