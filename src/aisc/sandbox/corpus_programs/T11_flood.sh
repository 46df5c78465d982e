#!/bin/sh
# attack: flood the log
# threat: T11
# expect: OUTPUT_LIMIT
echo TRIED
yes
