#!/bin/bash
# up.sh RUN ROOTFS NODES CPUS MEM: start a cluster: host login (slurmctld, slurmrestd) and compute hosts c1..cNODES with CPUS
# CPUs, MEM MB and 2 GPUs each. RUN is a run folder of package bed; RUN/extra.conf may hold lines that replace those of
# slurm.conf with the same key. Networks: 10.N.0.0/24 among the hosts, 10.N.1.0/24 between this machine (.1) and login (.10).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
RUN=$1 ROOTFS=$2 NODES=$3 CPUS=$4 MEM=$5
. "$HERE/lib.sh"
record $$ up.sh
fail() { echo "$*" >&2; exit 1; }
say() { printf '%6.2f s %s\n' "$(( (${EPOCHREALTIME/./}-T0)/1000 ))e-3" "$*"; }; T0=${EPOCHREALTIME/./}
seconds=60    # for each thing awaited; all of them together take one when the machine is quiet
mkdir -p "$RUN"/{hosts,etc/slurm,shared/home,shared/scratch}; chmod 1777 "$RUN/shared/scratch"

# --- a free network: making the interface to the login host reserves its number
taken=$(ip -4 route show table all; ip -4 addr show)
for NETID in $(seq 77 250) none; do
  [ $NETID != none ] || fail "no free network among 10.77 to 10.250"
  grep -qE "[ /]10\.$NETID\.|^10\.$NETID\." <<< "$taken" && continue
  ip link add "tb$NETID" type veth peer name "tb${NETID}p" 2> /dev/null && break
done
echo "tb$NETID" > "$RUN/links"
printf 'ROOTFS=%q NETID=%q NODES=%q\n' "$ROOTFS" "$NETID" "$NODES" > "$RUN/env"
# --- keys, users, names. Users' numbers come from the hosts' file system, never from this machine.
( umask 077; head -c 128 /dev/urandom > "$RUN/etc/munge.key"; head -c 32 /dev/urandom > "$RUN/etc/slurm/jwt_hs256.key" )
cp "$ROOTFS/etc/passwd" "$ROOTFS/etc/group" "$RUN/etc/"
for u in alice:1000 bob:1001 slurmrest:990; do
  n=${u%%:*} i=${u##*:}; echo "$n:x:$i:$i::/home/$n:/bin/bash" >> "$RUN/etc/passwd"; echo "$n:x:$i:" >> "$RUN/etc/group"
  install -d -o "$i" -g "$i" -m 700 "$RUN/shared/home/$n"
done
printf 'alice:100000:65536\nbob:165536:65536\n' | tee "$RUN/etc/subuid" > "$RUN/etc/subgid"
{ echo "127.0.0.1 localhost"; for h in login $(seq -f 'c%g' "$NODES"); do echo "$(host_ip "$h") $h"; done; echo "10.$NETID.1.1 outer"; } > "$RUN/etc/hosts"
slurm=$(awk -F: '$1=="slurm"{print $3}' "$RUN/etc/passwd"); chown "$slurm:$slurm" "$RUN/etc/slurm/jwt_hs256.key"
# --- configuration
conf=$RUN/etc/slurm/slurm.conf
sed -e "s/@NODES@/$NODES/g" -e "s/@CPUS@/$CPUS/g" -e "s/@MEM@/$MEM/g" "$HERE/../etc/slurm.conf.in" > "$conf"
if [ -e "$RUN/extra.conf" ]; then
  while IFS= read -r line; do sed -i "/^${line%%=*}=/d" "$conf"; echo "$line" >> "$conf"; done < "$RUN/extra.conf"
fi
cp "$HERE/../etc/cgroup.conf" "$HERE/../etc/gres.conf" "$RUN/etc/slurm/"; : > "$RUN/etc/slurm/plugstack.conf"
chmod 755 "$RUN/etc/slurm"; chmod 644 "$RUN"/etc/slurm/*.conf
# --- hosts and network
hosts="login $(seq -f 'c%g' -s ' ' "$NODES")"
setsid unshare --net -- sleep infinity < /dev/null > /dev/null 2>&1 & switch=$!
record $switch switch; echo $switch > "$RUN/switch.pid"
for h in $hosts; do boot_host "$h"; done
for h in $hosts; do wait_host "$h"; done
switch_ready() { [ "$(readlink /proc/$switch/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
await $seconds switch_ready || fail "the switch did not start"
nsenter -t $switch -n sh -c 'ip link add br0 type bridge; ip link set br0 up; ip link set lo up'
for h in $hosts; do plug_host "$h"; done
login=$(cat "$RUN/hosts/login/pid")
ip link set "tb${NETID}p" netns "$login" name eth1
ip addr add "10.$NETID.1.1/24" dev "tb$NETID"; ip link set "tb$NETID" up
nsenter -t "$login" -n sh -c "ip addr add 10.$NETID.1.10/24 dev eth1; ip link set eth1 up"
say "hosts and network up"
# --- daemons
for h in $hosts; do start_munge "$h"; done
for h in $hosts; do await $seconds munge_answers "$h" || fail "munge does not answer on $h"; done
say "munge answers on all hosts"
hx login slurmctld -i
ctld_up() { hx login scontrol ping 2> /dev/null | grep -q 'is UP'; }
await $seconds ctld_up || { hx login tail -30 /var/log/slurm/slurmctld.log >&2; fail "slurmctld does not answer"; }
say "slurmctld answers"
for i in $(seq "$NODES"); do hx "c$i" slurmd -N "c$i"; done
nodes_idle() { [ "$(hx login sinfo -h -N -t idle -o %N 2> /dev/null | sort -u | wc -l)" = "$NODES" ]; }
await $seconds nodes_idle || { hx login sinfo -N -l >&2; fail "not all nodes are idle"; }
say "$NODES compute hosts idle"
hx login install -d -o slurmrest -g slurmrest /run/slurmrestd
hx login sh -c 'cd / && exec setsid --fork setpriv --reuid slurmrest --regid slurmrest --clear-groups -- env SLURM_JWT=daemon slurmrestd -a rest_auth/jwt -s openapi/slurmctld 0.0.0.0:6820 unix:/run/slurmrestd/slurmrestd.sock < /dev/null > /var/log/slurmrestd.log 2>&1'
rest_up() { [ "$(hx login curl -s -o /dev/null -m 2 -w '%{http_code}' http://127.0.0.1:6820/openapi/v3)" = 401 ]; }
await $seconds rest_up || { hx login cat /var/log/slurmrestd.log >&2; fail "slurmrestd does not answer"; }
say "slurmrestd answers"
