#!/bin/sh
# attack: use or win privileges: root, capabilities, mounts, devices, other namespaces, host settings
# threat: T04
# expect: COMPLETED
echo TRIED
[ "$(id -u)" = 0 ] && echo "GAINED root"
grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status || echo "GAINED $(grep CapEff /proc/self/status)"
grep -q '^CapBnd:[[:space:]]*0*$' /proc/self/status || echo "GAINED $(grep CapBnd /proc/self/status)"
grep '^NoNewPrivs:' /proc/self/status | grep -q 0 && echo "GAINED new privileges are possible"
grep '^Seccomp:' /proc/self/status | grep -q 0 && echo "GAINED no system call filter"
mount -t tmpfs none /tmp 2>/dev/null && echo "GAINED a mount"
unshare -r true 2>/dev/null && echo "GAINED a user namespace"
unshare -m true 2>/dev/null && echo "GAINED a mount namespace"
mknod /tmp/disk b 254 0 2>/dev/null && dd if=/tmp/disk bs=16 count=1 2>/dev/null | grep -q . && echo "GAINED a disk"
chroot / true 2>/dev/null && echo "GAINED chroot"
echo x >/proc/sys/kernel/hostname 2>/dev/null && echo "GAINED a kernel setting"
echo b >/proc/sysrq-trigger 2>/dev/null && echo "GAINED sysrq"
hostname other 2>/dev/null
[ "$(hostname)" = other ] && echo "GAINED the host name"
date -s 2030-01-01 >/dev/null 2>&1
[ "$(date +%Y)" = 2030 ] && echo "GAINED the clock"
for number in $(ls /proc/self/fd); do
    [ "$number" -gt 2 ] && readlink "/proc/self/fd/$number" | grep -v -e /proc/ && echo "GAINED an open file"
done
exit 0
