#!/bin/sh
# attack: connect to a listener of this machine that answers everybody else
# threat: T12
# expect: COMPLETED
. /input/targets.sh
echo TRIED
for host in "$HOST" 127.0.0.1 172.17.0.1 10.0.2.2 ::1; do
    nc -w 1 "$host" "$PORT" </dev/null >/dev/null 2>&1 && echo "GAINED a connection to $host:$PORT"
done
ls /sys/class/net 2>/dev/null | grep -v -x lo && echo "GAINED an interface"
route -n 2>/dev/null | grep '^[0-9]' && echo "GAINED a route"
exit 0
