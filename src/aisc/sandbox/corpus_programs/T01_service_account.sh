#!/bin/sh
# attack: read a service account's token and call the API server with it
# threat: T01
# expect: COMPLETED
. /input/targets.sh
echo TRIED
for place in /var/run/secrets /run/secrets /var/lib/kubelet /root/.kube "$HOME/.kube"; do
    [ -e "$place" ] && echo "GAINED $place"
done
[ -n "$KUBERNETES_SERVICE_HOST" ] && echo "GAINED KUBERNETES_SERVICE_HOST=$KUBERNETES_SERVICE_HOST"
find / -xdev -name token 2>/dev/null | grep . && echo "GAINED a token"
nc -w 1 "$HOST" "$PORT" </dev/null >/dev/null 2>&1 && echo "GAINED a connection to $HOST:$PORT"
exit 0
