#!/bin/sh
# attack: busy loop
# threat: T08
# expect: TIMEOUT
# wall: 2
echo TRIED
while :; do :; done
