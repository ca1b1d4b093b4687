#!/usr/bin/env bash
# Trains on all products in one Slurm job: a Ray head on the first node, a worker on each of the others.
# Submit it with `sbatch docs/cluster/slurm.sh products/ runs/`; both folders are on storage that every node sees.
#SBATCH --job-name=flawtrace
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=04:00:00
set -euo pipefail
products=${1:?folder of products}
runs=${2:?folder for the runs}

export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
# the token goes to the nodes in a file that only you can read: an environment shows in `ps` and in logs
RAY_AUTH_TOKEN_PATH=$(umask 077 && mktemp -p "$HOME" ray-token.XXXXXX)
export RAY_AUTH_TOKEN_PATH
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
address=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000)) # another job on the same node has another one

srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --overlap \
    ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false \
    --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
if ((${#nodes[@]} > 1)); then
    others=$(IFS=,; echo "${nodes[*]:1}")
    srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --nodelist="$others" --overlap \
        ray start --address="$address:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
    sleep 20
fi

# on the head's node, because whoever asks a cluster for something has to be on one of its nodes
srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --overlap \
    flawtrace train-all "$products" -o "$runs" --ray "$address:$port"
