#!/bin/sh
# attack: a sparse giant that takes no room until somebody copies it
# threat: T40
# expect: OUTPUT_LIMIT
# collect: none
echo TRIED
truncate -s 1000000000000 /output/result.csv || dd if=/dev/zero of=/output/result.csv bs=1 count=1 seek=900000000000 2>/dev/null
[ "$(stat -c %s /output/result.csv)" -gt 9000000 ] || echo "no sparse file here"
