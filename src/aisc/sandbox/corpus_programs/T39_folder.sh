#!/bin/sh
# attack: the declared output is a folder that holds links
# threat: T39
# expect: COMPLETED
# collect: none
. /input/targets.sh
echo TRIED
mkdir /output/result.csv
ln -s "$HOST_FILE" /output/result.csv/result.csv
