#!/bin/sh
# A Slurm job array, one worker a task:
#   sbatch --array=0-15 deploy/batch/slurm-array.sh OUTPUT 16 [options of `ip-diffusion batch`]
# The plan must be there (--plan-only). A task that is requeued makes what its part still lacks.
#SBATCH --job-name=ip-diffusion-batch
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --requeue
#SBATCH --signal=TERM@60
set -eu
output=$1
workers=$2
shift 2
exec ${IP_DIFFUSION:-npx ip-diffusion} batch --out "$output" \
  --shard "$SLURM_ARRAY_TASK_ID/$workers" "$@"
