#!/bin/sh
# N workers of a batch by GNU parallel: on this machine, or on those of a list (`HOSTS=hosts.txt`, one a line).
#   deploy/batch/gnu-parallel.sh OUTPUT WORKERS [options of `ip-diffusion batch`]
# A worker that fails is started again, three times at most. With HOSTS the program must be there, too, and OUTPUT be a
# bucket or a folder that all of them share.
set -eu
output=$1
workers=$2
shift 2
seq 0 $((workers - 1)) |
  parallel --jobs "$workers" --retries 3 --line-buffer ${HOSTS:+--sshloginfile "$HOSTS"} \
    ${IP_DIFFUSION:-npx ip-diffusion} batch --out "$output" --shard "{}/$workers" "$@"
