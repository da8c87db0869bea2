#!/usr/bin/env bash
# Whole steps of every phase and whole forward passes, over the dense model and over eager PyTorch, as one CSV and a plot.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)

usage() {
  cat <<'EOT'
usage: tests/bench/run.sh [--quick | --gpu] [--out FOLDER]

Measures on one thread, in processor time, with what is compared taking turns in one run: gated inference at k/N = 0.25 to 1 and
one training step of each phase over the dense model, and all forward passes and the dense step over eager PyTorch. Writes FOLDER/results.csv, and
FOLDER/inference.png where gnuplot is installed.

  --quick        the smallest model and few rounds, in seconds: shows that everything runs; the figures mean nothing
  --gpu          ViT-B/16 in bfloat16 on the first GPU, by the time until it has done its work; inference also with ACMs at its feed-forward
                 networks alone, and of one such network; steps of phases 0 and 3, four a turn, beside as many operations in the
                 largest product; those of phases 1 and 2 in TF32
  --out FOLDER   default: runs/bench

  ACM_BUILD    the build folder (default: build; with --gpu build-cuda)
  ACM_PYTHON   a Python with PyTorch, and timm if its model is to be used (default: python3, left out where it has no PyTorch)
EOT
}

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 64
}

quick='' gpu='' out=$root/runs/bench
while (($# > 0)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --quick) quick=1 && shift ;;
    --gpu) gpu=1 && shift ;;
    --out) (($# >= 2)) || die "--out needs a folder" && out=$2 && shift 2 ;;
    *) die "unknown option '$1' (see --help)" ;;
  esac
done
[[ ! $quick || ! $gpu ]] || die '--quick and --gpu exclude each other'
build=${ACM_BUILD:-$root/build${gpu:+-cuda}}
programs=$build/tests/bench
for program in bench_inference bench_steps; do
  [[ -x $programs/$program ]] || die "$programs/$program is missing: build it with 'cmake --build $build --target $program'"
done
export OMP_NUM_THREADS=1

eager=()
if pytorch=$("${ACM_PYTHON:-python3}" "$root/tests/bench/eager.py" describe 2>/dev/null); then
  eager=(--eager "${ACM_PYTHON:-python3}" "$root/tests/bench/eager.py")
elif [[ ${ACM_PYTHON:-} ]]; then
  die "ACM_PYTHON=$ACM_PYTHON cannot import torch"
else
  pytorch='' && echo "eager PyTorch is left out: python3 cannot import torch (ACM_PYTHON names another Python)" >&2
fi

if [[ $gpu ]]; then
  machine=$(nvidia-smi --query-gpu=name --format=csv,noheader --id=0) || die '--gpu: nvidia-smi finds no GPU'
else
  machine=$(awk -F': *' '/^model name/ { name = $2 } /^cpu family/ { family = $2 } /^model\t/ { model = $2 }
    END { gsub(",", " ", name); print name " (family " family " model " model ")" }' /proc/cpuinfo)
fi

mkdir -p -- "$out"
results=$out/results.csv

# measure PROGRAM ARGUMENTS...: its rows, with the machine, behind those that stand.
measure() {
  echo "$*" >&2
  "$programs/$1" "${@:2}" >"$out/rows.csv"
  awk -v machine="$machine" -v pytorch="$pytorch" -v first="$([[ -s $results.part ]] || echo 1)" '
    NR == 1 { if (first) print $0 ",machine"; next }
    { gsub("eager PyTorch", "eager " pytorch); print $0 "," machine }' "$out/rows.csv" >>"$results.part"
  rm -- "$out/rows.csv"
}

rm -f -- "$results.part"
if [[ $quick ]]; then
  measure bench_inference --model quick --batch 8 --rounds 3 "${eager[@]}"
  measure bench_steps --model quick --batch 16 --rounds 3 "${eager[@]}"
elif [[ $gpu ]]; then
  on_gpu=(--device cuda --precision bfloat16 --model base)
  measure bench_inference "${on_gpu[@]}" --batch 32 128 --rounds 7 "${eager[@]}"
  measure bench_inference "${on_gpu[@]}" --batch 128 --rounds 7 --sites ffn
  measure bench_inference "${on_gpu[@]}" --batch 128 --rounds 7 --part ffn
  measure bench_steps "${on_gpu[@]}" --batch 256 --rounds 7 --steps-of-turn 4 --phases 0 3 "${eager[@]}"
  measure bench_steps --device cuda --precision tf32 --model base --batch 64 --rounds 3 --phases 0 1 2 "${eager[@]}"
else
  measure bench_inference --model tiny --batch 1 8 32 --rounds 9 "${eager[@]}"
  measure bench_inference --model base --batch 1 8 --rounds 5 "${eager[@]}"
  measure bench_steps --model tiny --batch 16 --rounds 9 "${eager[@]}"
  measure bench_steps --model tiny --batch 64 --rounds 5 "${eager[@]}"
fi
mv -- "$results.part" "$results"
echo "$results"

if ! command -v gnuplot >/dev/null; then
  echo "no plot: gnuplot is not installed (Debian package gnuplot-nox)" >&2
  exit 0
fi
gnuplot <<EOT
set datafile separator ","
set terminal pngcairo size 800,600
set output "$out/inference.png"
set title "Gated over dense inference, $machine, one thread"
set xlabel "share of the dense model's multiply-accumulates"
set ylabel "share of its time"
set key left top title "model/batch"
set xrange [0:]
set yrange [0:]
set grid
models = system("awk -F, '/random mask/ { print \$2 \"/\" \$3 }' '$results' | uniq")
plot x title "in proportion" linecolor "gray", for [which in models] "$results" \\
  using (strcol(1) eq "gated forward (random mask)" && strcol(7) eq "dense forward" && strcol(2) . "/" . strcol(3) eq which ? \$5 : NaN):9 with linespoints title which
EOT
echo "$out/inference.png"
