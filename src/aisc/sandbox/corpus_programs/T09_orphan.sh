#!/bin/sh
# attack: children in sessions of their own outlive the program
# threat: T09
# expect: COMPLETED
echo TRIED
for _ in 1 2 3; do
    setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1000; done' >/dev/null 2>&1 </dev/null &
done
sleep 0.2
exit 0
