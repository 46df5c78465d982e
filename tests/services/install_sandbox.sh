#!/bin/sh
# Installs from the distribution what the sandbox tests need: Docker, gVisor, bubblewrap, a static busybox, debootstrap.
# Needs root and Debian 12 or later. Starts nothing: tests/services/docker_daemon.py does, on private sockets.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo "install_sandbox.sh: run as root (sudo $0)" >&2
    exit 2
fi
if ! command -v apt-get >/dev/null; then
    echo "install_sandbox.sh: only Debian's apt-get is known here; install docker, runsc, bubblewrap and busybox by hand" >&2
    exit 2
fi

export DEBIAN_FRONTEND=noninteractive
. /etc/os-release
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
    # bookworm's own gVisor is of 2022 and does not start on today's kernels.
    echo "deb http://deb.debian.org/debian bookworm-backports main" >/etc/apt/sources.list.d/aisc-backports.list
    gvisor="runsc/bookworm-backports"
else
    gvisor="runsc"
fi
# A service manager must not start a daemon on the machine's usual socket behind our back.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
    docker.io docker-registry skopeo iptables bubblewrap busybox-static debootstrap libseccomp2 gcc libc6-dev "$gvisor" >/dev/null

for program in dockerd containerd runc runsc bwrap busybox debootstrap gcc skopeo docker-registry; do
    command -v "$program" >/dev/null || { echo "install_sandbox.sh: $program is still missing" >&2; exit 1; }
done
echo "docker: $(dockerd --version)"
echo "gVisor: $(runsc --version | head -n 1)"
echo "bubblewrap: $(bwrap --version)"
