#!/bin/sh
# attack: write to any folder that has no size
# threat: T10
# expect: COMPLETED
echo TRIED
for folder in $(find / -type d ! -path '/proc/*' ! -path '/tmp*' ! -path '/output*' ! -path '/dev/shm*' 2>/dev/null) /proc /sys; do
    (echo x >"$folder/planted") 2>/dev/null && echo "GAINED $folder"
done
for file in /etc/passwd /etc/hosts /etc/hostname /etc/resolv.conf /bin/busybox /input/targets.sh; do
    (: >>"$file") 2>/dev/null && echo "GAINED $file"
done
exit 0
