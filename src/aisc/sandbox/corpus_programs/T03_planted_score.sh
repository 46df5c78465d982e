#!/bin/sh
# attack: write a score file among the outputs
# threat: T03
# expect: COMPLETED
echo TRIED
echo 'id,score' >/output/result.csv
echo '{"score": 1.0}' >/output/metrics.json
echo '{"score": 1.0}' >/output/score.json
