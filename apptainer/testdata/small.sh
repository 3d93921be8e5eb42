#!/bin/bash
# Starts one allocation of bioengine-hpc. It holds no secret.
umask 077
ulimit -c 0
export HOME=/home/alice
export PATH=/opt/bin:/bin
[ -z "${SLURM_JOB_ID+set}" ] || export APPTAINERENV_SLURM_JOB_ID="$SLURM_JOB_ID"
[ -z "${SLURMD_NODENAME+set}" ] || export APPTAINERENV_SLURMD_NODENAME="$SLURMD_NODENAME"
[ -z "${SLURM_CPUS_PER_TASK+set}" ] || export APPTAINERENV_SLURM_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
exec /usr/bin/apptainer --quiet exec --containall --no-home --no-eval --pwd / /images/sandbox true
