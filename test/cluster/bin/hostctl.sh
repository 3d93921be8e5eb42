#!/bin/bash
# hostctl.sh RUN off|on|cut|mend HOST: power a compute host off (its pid 1 is killed) or on, pull its network cable or plug it in.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
RUN=$1 h=$3
. "$RUN/env"; . "$HERE/lib.sh"
case $2 in
cut) nsenter -t "$(cat "$RUN/switch.pid")" -n ip link set "v-$h" down;;
mend) nsenter -t "$(cat "$RUN/switch.pid")" -n ip link set "v-$h" up;;
off) pid=$(cat "$RUN/hosts/$h/pid"); kill -9 "$pid"
  gone() { [ ! -d "/proc/$pid" ]; }; await 30 gone; rm "$RUN/hosts/$h/pid"
  # the kernel removes a dead host's cable a moment later; one that is switched on at once needs the name
  unplugged() { ! nsenter -t "$(cat "$RUN/switch.pid")" -n ip link show "v-$h" > /dev/null 2>&1; }; await 30 unplugged;;
on) boot_host "$h"; wait_host "$h"; plug_host "$h"; start_munge "$h"; await 30 munge_answers "$h"; hx "$h" slurmd -N "$h";;
*) echo "hostctl.sh: off, on, cut or mend, not $2" >&2; exit 2;;
esac
