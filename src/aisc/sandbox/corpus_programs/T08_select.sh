#!/bin/sh
# attack: wait for ever on a pipe that nobody writes to
# threat: T08
# expect: TIMEOUT
# wall: 2
echo TRIED
mkfifo /tmp/never
exec 3<>/tmp/never
read -r _ <&3
