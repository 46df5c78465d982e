#!/bin/sh
# attack: fork bomb that keeps its parent
# threat: T06
# expect: PROCESS_LIMIT
echo TRIED
bomb() { bomb | bomb & }
bomb
sleep 30
