#!/usr/bin/env bash
# Everything that wants a GPU, in one go: benchmarks/gpu.sh DATA [EPOCHS]. DATA is CIFAR-10, as of accuracy.py.
# Each writes its page in benchmarks/results; what fails does not keep the others from running.
set -uo pipefail
data=$1
[ -e "$1" ] && data=$(realpath "$1")
cd "$(dirname "$0")"
for run in "attention.py" "throughput.py" "throughput.py --profile" "trainer.py" "accuracy.py $data ${2:-15}"; do
  echo "== $run"
  python $run || echo "$run failed"
done
