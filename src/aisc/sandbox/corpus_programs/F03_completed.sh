#!/bin/sh
# attack: none: an honest program, whose output must arrive
# threat: F03
# expect: COMPLETED
# collect: result.csv
echo TRIED
echo 'id,score' >/output/result.csv
