#!/bin/sh
# attack: the declared output is a link to a secret of the host
# threat: T39
# expect: COMPLETED
# collect: none
. /input/targets.sh
echo TRIED
ln -s "$HOST_FILE" /output/result.csv
