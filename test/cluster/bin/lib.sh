# What up.sh and hostctl.sh share. They set RUN (the run folder), ROOTFS, NETID and NODES, and HERE (this folder).

# a RUN's owner and reaper know a process by pid and start time
record() { local stat; stat=$(cat "/proc/$1/stat"); stat=${stat##*) }; echo "$1 $(cut -d' ' -f20 <<< "$stat") $2" >> "$RUN/pids"; }

host_ip() { case $1 in login) echo "10.$NETID.0.10";; *) echo "10.$NETID.0.$((10+${1#c}))";; esac; }

# hx HOST CMD...: run CMD as root in the host, with nothing of this environment
hx() { local pid; pid=$(cat "$RUN/hosts/$1/pid"); shift
  nsenter -t "$pid" -m -u -i -n -p -r -w -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 "$@"; }

# await SECONDS CMD...: repeat CMD until it succeeds
await() { local end=$((SECONDS+$1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.03; done; }

boot_host() { mkdir -p "$RUN/hosts/$1"
  setsid unshare --mount --uts --ipc --pid --net --fork --kill-child --propagation private -- \
    "$HERE/host-init.sh" "$1" "$ROOTFS" "$RUN" > "$RUN/hosts/$1/init.log" 2>&1 < /dev/null &
  record $! "unshare-$1"; echo $! > "$RUN/hosts/$1/unshare.pid"; }

# up when pid 1 says so and has changed its root; or it died
host_settled() { local up child; up=$(cat "$RUN/hosts/$1/unshare.pid")
  [ -d "/proc/$up" ] || return 0
  child=; read -r child _ 2> /dev/null < "/proc/$up/task/$up/children" || true    # the file has no newline
  [ -n "$child" ] || return 1
  [ -s "/proc/$child/root/run/hostpid" ] && [ "$(readlink "/proc/$child/root")" = / ] || return 1
  echo "$child" > "$RUN/hosts/$1/pid"; record "$child" "init-$1"; }
wait_host() { await 30 host_settled "$1" && [ -s "$RUN/hosts/$1/pid" ] && return 0
  echo "host $1 did not boot" >&2; cat "$RUN/hosts/$1/init.log" >&2; return 1; }

# a cable to the switch: a network namespace with a bridge, so that compute hosts reach each other and login, nothing else
plug_host() { local pid switch; pid=$(cat "$RUN/hosts/$1/pid"); switch=$(cat "$RUN/switch.pid")
  nsenter -t "$switch" -n sh -c "ip link add v-$1 type veth peer name eth0 netns $pid; ip link set v-$1 master br0 up"
  nsenter -t "$pid" -n sh -c "ip addr add $(host_ip "$1")/24 dev eth0; ip link set eth0 up"; }

start_munge() { hx "$1" setpriv --reuid munge --regid munge --init-groups -- munged; }
munge_answers() { hx "$1" sh -c 'munge -n | unmunge > /dev/null 2>&1'; }
