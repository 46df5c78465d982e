#!/bin/sh
# attack: a crash after writing the output, which must not arrive
# threat: F03
# expect: CRASHED
# collect: none
echo TRIED
echo 'id,score' >/output/result.csv
exit 3
