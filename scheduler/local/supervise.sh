#!/bin/bash
# Supervises one job of the local back end and leaves its story in files.
#
#   supervise RECORD WORKDIR OUTPUT WARN LIMIT
#
# RECORD holds `script`, the batch script. WARN seconds after its start the batch
# process gets TERM; LIMIT seconds after its start the job is ended (0: never).
# Descriptor 3 is told "ok" once `run` is written.
# Signals to this process: TERM = cancel the job, USR1 = its time is over.
#
# Files written: run ("<own pid> <its start> <batch pid> <its start>", starts in
# clock ticks since boot), cancelled, timeout (marks), exit (status of the batch
# process; above 128: killed by that signal less 128).
record=$1 workdir=$2 output=$3 warn=$4 limit=$5

# put NAME TEXT: writes a file of the record in one step.
put() { printf '%s\n' "$2" > "$record/$1.tmp" && mv "$record/$1.tmp" "$record/$1"; }

# stat PID N: the Nth field after the name in /proc/PID/stat; 0 when it is gone.
stat() {
  local line=; { read -r line < "/proc/$1/stat"; } 2>/dev/null
  [ -n "$line" ] || { printf 0; return; }
  local n=$2; set -- ${line##*) }; printf '%s' "${!n}"
}
session() { stat "$1" 4; }
started() { stat "$1" 20; }

# signal_all SIGNAL: sends it to every process in the job's session, also to those
# that made a process group of their own.
signal_all() {
  local dir
  for dir in /proc/[0-9]*; do
    [ "$(session "${dir#/proc/}")" != "$batch" ] || kill "-$1" "${dir#/proc/}" 2>/dev/null
  done
}

# after SECONDS COMMAND...: runs it then, unless this process has ended before:
# the life line, whose only writer is this process, is at its end by then.
after() {
  local seconds=$1; shift
  ( exec 3>&- 9>&-; read -r -t "$seconds" < "$record/life"; [ $? -gt 128 ] && "$@" ) &
}

stop() { put "$1" ''; signal_all TERM; after 3 signal_all KILL; }

# What the controller was started with is not the job's. (255 is bash's own.)
for fd in /proc/$$/fd/*; do
  fd=${fd##*/}; case $fd in 0|1|2|3|255) ;; *) eval "exec $fd>&-" ;; esac
done
mkfifo "$record/life" && exec 9<> "$record/life" || exit 1
( cd "$workdir" && exec setsid /bin/bash "$record/script" ) >> "$output" 2>&1 < /dev/null 3>&- 9>&- &
batch=$!
until [ "$(session $batch)" = $batch ] || ! kill -0 $batch 2>/dev/null; do read -r -t 0.005 <&9; done
trap 'stop cancelled' TERM
trap 'stop timeout' USR1
put run "$$ $(started $$) $batch $(started $batch)"
echo ok >&3; exec 3>&-
[ "$warn" = 0 ] || after "$warn" kill -TERM $batch
[ "$limit" = 0 ] || after "$limit" kill -USR1 $$

# A trapped signal interrupts wait; the status is the true one when it is asked
# for again after the process has ended.
while :; do wait $batch; kill -0 $batch 2>/dev/null || break; done
wait $batch; status=$?
trap '' TERM USR1
signal_all KILL
put exit "$status"
rm -f "$record/life"
