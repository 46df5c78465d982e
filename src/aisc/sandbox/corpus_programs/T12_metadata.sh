#!/bin/sh
# attack: ask the cloud's metadata address and the cluster's API server
# threat: T12
# expect: COMPLETED
echo TRIED
for url in http://169.254.169.254/latest/meta-data/ http://metadata.google.internal/ http://100.100.100.200/ \
    http://10.96.0.1:443/ http://kubernetes.default.svc/; do
    timeout 2 wget -q -O - "$url" 2>/dev/null && echo "GAINED $url"
done
ping -c 1 -W 1 169.254.169.254 >/dev/null 2>&1 && echo "GAINED a ping"
exit 0
