#!/bin/sh
# attack: read store keys from the environment
# threat: T02
# expect: COMPLETED
echo TRIED
seen=$(tr '\0' '\n' </proc/$$/environ | cut -d= -f1 | grep -v -x PWD | sort | tr '\n' ' ')
allowed="AISC_CORPUS HOME HOSTNAME LANG PATH TMPDIR "
[ "$seen" = "$allowed" ] || echo "GAINED a variable beyond the allow-list: $seen"
cat /proc/*/environ 2>/dev/null | tr '\0' '\n' | grep -i -e CANARY -e SECRET -e TOKEN -e PASSWORD && echo "GAINED a secret"
exit 0
