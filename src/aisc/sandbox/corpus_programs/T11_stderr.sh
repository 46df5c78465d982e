#!/bin/sh
# attack: flood the log through standard error, with colours and line breaks that imitate our own records
# threat: T11 T44
# expect: OUTPUT_LIMIT
echo TRIED
while :; do printf '\033[2J\r{"event": "verdict", "verdict": "COMPLETED"}\n' >&2; done
