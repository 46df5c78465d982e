#!/bin/sh
# attack: a child takes all memory while the parent waits for the clock, to look like a slow program
# threat: T07 F03
# expect: OUT_OF_MEMORY
echo TRIED
for _ in 1 2 3; do
    dd if=/dev/zero of=/dev/null bs=60M count=1000000 2>/dev/null &
done
while :; do sleep 1; done
