#!/bin/sh
# attack: NUL bytes without end
# threat: T11
# expect: OUTPUT_LIMIT
echo TRIED
cat /dev/zero
