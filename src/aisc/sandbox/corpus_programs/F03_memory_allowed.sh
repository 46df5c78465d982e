#!/bin/sh
# attack: none: much memory, but within the limit
# threat: F03 T07
# expect: COMPLETED
echo TRIED
dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null
