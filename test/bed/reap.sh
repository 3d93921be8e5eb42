# reap DIR: end the processes a run folder names, remove its network interfaces and the folder. Only processes with the
# recorded start time are killed: a pid may have been given to somebody else. Killing pid 1 of a pid namespace ends all in it;
# mounts and interfaces go with their namespaces. BIOENGINE_TEST_KEEP=1 keeps the folder (logs) but no process.
dir=$1
started() { local stat; stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; stat=${stat##*) }; set -- $stat; [ "$1" != Z ] && echo "${20}"; }
running() { while read -r pid start label; do [ "$(started "$pid")" != "$start" ] || echo "$pid $label"; done < "$dir/pids"; }
[ -e "$dir/owner" ] || exit 0
if [ -e "$dir/pids" ]; then
  left=
  for _ in $(seq 500); do
    left=$(running); [ -n "$left" ] || break
    while read -r pid _; do kill -9 "$pid" 2>/dev/null; done <<< "$left"
    sleep 0.02
  done
  [ -z "$left" ] || { echo "still running: $left" >&2; exit 1; }
fi
if [ -e "$dir/links" ]; then while read -r link; do ip link del "$link" 2>/dev/null; done < "$dir/links"; fi
if [ -n "$BIOENGINE_TEST_KEEP" ]; then rm -f "$dir/owner" "$dir/pids" "$dir/links"; else rm -rf "$dir" || [ ! -e "$dir" ]; fi
