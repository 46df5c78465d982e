#!/bin/sh
# attack: the declared output is a second name of another file
# threat: T39
# expect: COMPLETED
# collect: none
echo TRIED
ln /input/targets.sh /output/result.csv 2>/dev/null && echo "GAINED a hard link out of /output"
ln /etc/passwd /output/result.csv 2>/dev/null && echo "GAINED a hard link out of /output"
echo x >/output/other
ln /output/other /output/result.csv
