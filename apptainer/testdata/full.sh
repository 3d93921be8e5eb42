#!/bin/bash
# Starts one allocation of bioengine-hpc. It holds no secret.
umask 077
ulimit -c 0
export APPTAINERENV_BIOENGINE_X=1
export APPTAINERENV_ODD='two words, $HOME `id` $(id) '\''single'\'' "double" \ * ~ !
second line=x'
export HOME=/home/alice
export PATH=/usr/local/bin:/usr/bin:/bin
[ -z "${SLURM_JOB_ID+set}" ] || export APPTAINERENV_SLURM_JOB_ID="$SLURM_JOB_ID"
[ -z "${SLURMD_NODENAME+set}" ] || export APPTAINERENV_SLURMD_NODENAME="$SLURMD_NODENAME"
[ -z "${SLURM_CPUS_PER_TASK+set}" ] || export APPTAINERENV_SLURM_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
[ -z "${CUDA_VISIBLE_DEVICES+set}" ] || export APPTAINERENV_CUDA_VISIBLE_DEVICES="$CUDA_VISIBLE_DEVICES"
exec /usr/bin/apptainer --quiet exec --containall --no-home --no-eval --pwd /home/alice/app --workdir /scratch/a1 --bind /opt/bioengine-agent:/bioengine/bin/bioengine-agent:ro --bind '/home/alice/state/$x y:/bioengine/allocation' --nv '/images/cell pose.sif' /bioengine/bin/bioengine-agent --allocation /bioengine/allocation --python python3
