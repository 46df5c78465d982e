#!/bin/sh
# attack: leave with the exit status that a kill for lack of memory has
# threat: F03
# expect: CRASHED
echo TRIED
exit 137
