#!/bin/sh
# N workers of a batch on this machine.
#   deploy/batch/xargs.sh OUTPUT WORKERS [options of `ip-diffusion batch`]
# The plan must be there: ip-diffusion batch MODEL --count ... --out OUTPUT --plan-only
set -eu
output=$1
workers=$2
shift 2
seq 0 $((workers - 1)) |
  xargs -P "$workers" -I '{}' ${IP_DIFFUSION:-npx ip-diffusion} batch --out "$output" --shard "{}/$workers" "$@"
