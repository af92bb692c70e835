#!/bin/sh
# Makes sure that the Debian/Ubuntu packages for one purpose are there: installs them as root, else names them.
#   scripts/packages.sh setup|demo|test
set -eu

# One line a need: a file or command that proves it is there, then the package that brings it. A package with a question
# mark is done without where the distribution has none.
needs_setup='python3:python3
venv:python3-venv'
needs_demo="$needs_setup
podman:podman
runc:runc
crun:crun
conmon:conmon
newuidmap:uidmap
catatonit:catatonit?
slirp4netns:slirp4netns?
netavark:netavark?"
needs_test="$needs_demo
/bin/busybox:busybox-static
postgres:postgresql
radosgw:radosgw
ceph-mon:ceph-mon
ceph-osd:ceph-osd
ceph-mgr:ceph-mgr
ceph:ceph-common
curl:curl
chromium:chromium
/usr/bin/boinc:boinc-client
/usr/share/fonts/truetype/dejavu:fonts-dejavu-core"

present() {
    case $1 in
        venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        netavark) [ -x /usr/lib/podman/netavark ] || [ -x /usr/libexec/podman/netavark ] || command -v netavark >/dev/null ;;
        postgres) command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ;;
        catatonit) [ -x /usr/libexec/podman/catatonit ] || command -v catatonit >/dev/null ;;
        /*) [ -e "$1" ] ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

case ${1:-} in
    setup) needs=$needs_setup ;;
    demo) needs=$needs_demo ;;
    test) needs=$needs_test ;;
    *) echo "usage: $0 setup|demo|test" >&2; exit 2 ;;
esac

missing=
wanted=
for need in $needs; do
    present "${need%%:*}" && continue
    case $need in
        *\?) wanted="$wanted ${need#*:}" ;;
        *) missing="$missing ${need#*:}" ;;
    esac
done
[ -z "$missing$wanted" ] && exit 0
# A fresh machine has no package lists.
if [ "$(id -u)" -eq 0 ] && [ -n "$missing" ] && command -v apt-get >/dev/null; then apt-get update -qq; fi
for package in $wanted; do
    package=${package%\?}
    if apt-cache show "$package" >/dev/null 2>&1; then missing="$missing $package"; fi
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "These programs are missing:$missing. This is neither Debian nor Ubuntu; install them your way." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Packages are missing. Please run:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing:$missing"
# Services that packages bring are not started: tests start their own, and the demo needs none.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; made=1; }
code=0
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || code=$?
[ -z "${made:-}" ] || rm -f /usr/sbin/policy-rc.d
# Nor do they start with the machine: nobody asked for a BOINC client on it, the tests run their own.
case $missing in *boinc-client*) systemctl disable boinc-client >/dev/null 2>&1 || true ;; esac
exit $code
