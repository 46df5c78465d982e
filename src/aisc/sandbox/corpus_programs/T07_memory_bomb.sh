#!/bin/sh
# attack: one process takes all memory
# threat: T07
# expect: OUT_OF_MEMORY
# wall: 20
echo TRIED
tail /dev/zero
sleep 30
