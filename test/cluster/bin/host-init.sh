#!/bin/bash
# host-init.sh NAME ROOTFS RUN: pid 1 of one simulated host, under unshare --mount --uts --ipc --pid --net --fork. It makes the
# host's file system, an overlay on ROOTFS with the shared folders bound in, and turns into an init that only reaps.
set -euo pipefail
NAME=$1 ROOTFS=$2 RUN=$3
H=$RUN/hosts/$NAME
read -r HPID _ < /proc/self/stat          # our pid as the outside sees it (old /proc still mounted)
hostname "$NAME"
mkdir -p "$H"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$ROOTFS,upperdir=$H/upper,workdir=$H/work" "$H/root"
R=$H/root
mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$R/dev"
mkdev() { mknod -m "$2" "$R/dev/$1" "${@:3}"; }
mkdev null 666 c 1 3; mkdev zero 666 c 1 5; mkdev full 666 c 1 7; mkdev random 666 c 1 8; mkdev urandom 666 c 1 9; mkdev tty 666 c 5 0
mkdev fakegpu0 666 c 1 3; mkdev fakegpu1 666 c 1 3
mkdev fuse 666 c 10 229; mkdev loop-control 600 c 10 237; for i in 0 1 2 3 4 5 6 7; do mkdev loop$i 600 b 7 $i; done
mkdir "$R"/dev/{pts,shm,mqueue}; ln -s /proc/self/fd "$R/dev/fd"; for i in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${i%%:*} "$R/dev/${i#*:}"; done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$R/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/tmp"
mkdir -p "$R/home" "$R/scratch" "$R/etc/slurm"
mount --bind "$RUN/shared/home" "$R/home"
mount --bind "$RUN/shared/scratch" "$R/scratch"
mount --bind "$RUN/etc/slurm" "$R/etc/slurm"
for f in hosts passwd group subuid subgid; do [ -e "$RUN/etc/$f" ] && cp "$RUN/etc/$f" "$R/etc/$f"; done
echo "$NAME" > "$R/etc/hostname"; : > "$R/etc/resolv.conf.tmp"; rm -f "$R/etc/resolv.conf"; mv "$R/etc/resolv.conf.tmp" "$R/etc/resolv.conf"
chroot "$R" install -d -o munge -g munge -m 755 /run/munge
chroot "$R" install -d -o munge -g munge -m 700 /etc/munge /var/lib/munge /var/log/munge
cp "$RUN/etc/munge.key" "$R/etc/munge/munge.key"; chroot "$R" chown munge:munge /etc/munge/munge.key; chmod 400 "$R/etc/munge/munge.key"
chroot "$R" install -d -o slurm -g slurm -m 755 /var/spool/slurmctld /var/log/slurm /run/slurm
install -d -m 755 "$R/var/spool/slurmd"
cd "$R"; mkdir -p .old; pivot_root . .old; cd /
umount -l /.old; rmdir /.old 2>/dev/null || true
ip link set lo up
echo "$HPID" > /run/hostpid.tmp
mv /run/hostpid.tmp /run/hostpid
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 tini -s -- sleep infinity
