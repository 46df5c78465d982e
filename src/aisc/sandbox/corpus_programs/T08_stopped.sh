#!/bin/sh
# attack: a stopped process, which uses no CPU and answers nothing
# threat: T08
# expect: TIMEOUT
# wall: 2
echo TRIED
sleep 100 &
kill -STOP $!
wait $!
