#!/bin/sh
# attack: write more than the log may hold and leave with exit status 0 at once
# threat: T11 F03
# expect: OUTPUT_LIMIT
echo TRIED
dd if=/dev/zero bs=40000 count=2 2>/dev/null
exit 0
