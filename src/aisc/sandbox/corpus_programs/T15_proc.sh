#!/bin/sh
# attack: read other processes' command lines, environments and memory
# threat: T15
# expect: COMPLETED
echo TRIED
for folder in /proc/[0-9]*; do
    number=${folder#/proc/}
    name=$(tr '\0' ' ' <"$folder/cmdline" 2>/dev/null)
    case "$name" in
    "" | *T15_proc* | bwrap*) ;;
    *) [ "$number" != "$$" ] && echo "GAINED process $number: $name" ;;
    esac
    [ "$number" != "$$" ] && dd if="$folder/mem" bs=1 count=1 2>/dev/null | grep -q . && echo "GAINED memory of $number"
done
[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 6 ] && echo "GAINED more than our own processes"
exit 0
