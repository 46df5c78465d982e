#!/bin/sh
# attack: one process takes all memory
# threat: T07
# expect: OUT_OF_MEMORY
echo TRIED
dd if=/dev/zero of=/dev/null bs=512M count=1 2>/dev/null
sleep 30
