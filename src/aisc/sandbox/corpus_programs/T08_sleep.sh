#!/bin/sh
# attack: sleep for ever, deaf to polite signals
# threat: T08
# expect: TIMEOUT
# wall: 2
trap '' TERM INT HUP QUIT
echo TRIED
while :; do sleep 100; done
