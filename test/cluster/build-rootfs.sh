#!/bin/bash
# build-rootfs.sh DIR: the file system all simulated hosts share. Debian trixie with Slurm 24.11 and Apptainer (from sid,
# pinned, because trixie has none). Needs root, mmdebstrap and a Debian mirror: MIRROR, or the one apt is configured with.
set -euo pipefail
OUT=$1
. "$(dirname "$0")/mirror.sh"
unset LANG; export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
cat > "$tmp/pin" <<P
Package: *
Pin: release n=sid
Pin-Priority: 50

Package: apptainer
Pin: release n=sid
Pin-Priority: 990
P
printf '#!/bin/sh\nexit 101\n' > "$tmp/policy"; chmod 755 "$tmp/policy"; chmod 644 "$tmp/pin"
# policy-rc.d keeps maintainer scripts from starting daemons; systemd-standalone-sysusers keeps systemd itself out.
# sid's Release file may be past its date on a frozen mirror: neither date is checked.
mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
  --aptopt='APT::Install-Recommends "false"' \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --setup-hook="mkdir -p \"\$1/etc/apt/preferences.d\" \"\$1/usr/sbin\"; cp $tmp/pin \"\$1/etc/apt/preferences.d/sid\"" \
  --essential-hook="cp $tmp/policy \"\$1/usr/sbin/policy-rc.d\"" \
  --include=systemd-standalone-sysusers,munge,slurmctld,slurmd,slurmrestd,slurm-client,slurm-wlm-jwt-plugin,apptainer,squashfuse,python3-minimal,iproute2,procps,curl,jq,tini \
  trixie "$OUT" \
  "deb $MIRROR trixie main" "deb $MIRROR sid main"
