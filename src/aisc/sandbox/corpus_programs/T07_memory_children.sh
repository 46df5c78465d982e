#!/bin/sh
# attack: a child takes all memory while the parent waits for the clock, to look like a slow program
# threat: T07 F03
# expect: OUT_OF_MEMORY
# wall: 20
echo TRIED
tail /dev/zero &
tail /dev/zero &
while :; do sleep 1; done
