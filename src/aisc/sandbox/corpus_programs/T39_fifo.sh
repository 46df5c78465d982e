#!/bin/sh
# attack: the declared output is a pipe, on which a careless reader hangs
# threat: T39
# expect: COMPLETED
# collect: none
echo TRIED
mkfifo /output/result.csv
