#!/bin/sh
# attack: more files than the collector may look at
# threat: T40
# expect: OUTPUT_LIMIT
# collect: none
echo TRIED
i=0
while [ $i -lt 200 ]; do
    : >"/output/f$i"
    i=$((i + 1))
done
echo x >/output/result.csv
