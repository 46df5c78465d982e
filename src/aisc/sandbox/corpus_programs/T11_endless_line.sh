#!/bin/sh
# attack: one line without end
# threat: T11
# expect: OUTPUT_LIMIT
echo TRIED
tr '\0' a </dev/zero
