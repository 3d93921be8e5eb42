#!/bin/bash
# build-image.sh PYTHON ROOTFS FILE: a SIF with Debian bookworm's Python 3.11 and the packages of requirements.lock, all
# byte-compiled (else every start of a replica compiles numpy anew). ROOTFS is the cluster's file system: its apptainer builds
# the SIF, so none is needed on this machine. Scratch files lie beside FILE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$1 rootfs=$2 out=$3
. "$here/mirror.sh"
unset LANG; export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
work=$out.work; rm -rf "$work"; mkdir -p "$work"; trap 'rm -rf "$work"' EXIT
root=$work/root
mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include=python3,python3-venv,python3-pip,ca-certificates \
  bookworm "$root" "deb $MIRROR bookworm main"
"$python" -m venv "$work/venv"    # pip from outside: the image's own would miss this machine's proxy and certificates
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
  --target "$root/usr/local/lib/python3.11/dist-packages" -r "$here/requirements.lock"
chroot "$root" python3 -m compileall -q -j0 /usr/local/lib/python3.11 /usr/lib/python3.11 /usr/lib/python3
rm -rf "$root"/dev/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/etc/resolv.conf
# apptainer wants its own /proc, /dev and a temp folder: a throw-away overlay on the cluster's file system, gone with the namespace
mkdir "$work"/{host,upper,work,out}
export work rootfs
unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
  mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$work/upper,workdir=$work/work" "$work/host"
  mkdir -p "$work/host/build"; mount --bind "$work" "$work/host/build"
  mount -t proc proc "$work/host/proc"; mount --rbind /dev "$work/host/dev"
  exec chroot "$work/host" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root APPTAINER_TMPDIR=/build/out \
    apptainer --silent build --userns --mksquashfs-args "-comp zstd -Xcompression-level 3" /build/app.sif /build/root'
chmod 644 "$work/app.sif"; mv "$work/app.sif" "$out"
