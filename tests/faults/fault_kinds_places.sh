# shellcheck shell=bash disable=SC2154,SC2034
# Sourced by fault_kinds.sh: memory, places that are full or read-only, and a wrong call.
mounted=
unmount() { if [ -n "$mounted" ]; then umount "$mounted" && mounted=; fi; }
trap 'code=$?; [ -z "$job" ] || { kill -KILL "$job" || true; } 2>/dev/null; unmount; rm -rf "$scratch"; exit $code' EXIT

# mount_small FOLDER OPTIONS: a file system in memory; fails where this user may not mount.
mount_small() {
  mkdir -p "$1"
  mount -t tmpfs -o "$2" tmpfs "$1" 2>mount_error || return 1
  mounted=$here/$1
}

begin_kind 'too little memory (a limit on the address space)' 'exit 71, says so'
large=(--set pretrain.batch=20000 --set pretrain.steps=2)
peak=0
"$ACM_BUILD/acm_dist" --phase 0 --config "$tiny" --set run_dir=measured "${settings[@]}" >/dev/null 2>&1 &
job=$!
while is_running "$job"; do
  now=$(grep -s VmPeak "/proc/$job/status" | tr -dc 0-9) || true
  if [ "${now:-0}" -gt "$peak" ]; then peak=$now; fi
  sleep 0.01
done
wait "$job"
job=
wrapper=(prlimit "--as=$(((peak + 30000) * 1024))")
run_phase 1 0 "${large[@]}"
ended 71 memory
wrapper=()
run_phase 1 0 "${large[@]}"
ended 0 ''

begin_kind 'a full disk (room for half of a run)' 'exit 71, names the file'
if mount_small disk "size=$(($(du -sk undisturbed0-1 | cut -f 1) / 2))k"; then
  attempt_phase 1 0 disk/run "${settings[@]}"
  ended 71 'disk/run.*(No space left on device|are free)'
  mount -o remount,size=64m "$mounted"
  attempt_phase 1 0 disk/run "${settings[@]}"
  ranks=1 phase=0
  cp -r disk/run run
  ended 0 ''
  equal_bytes
  unmount
else
  skip_kind "$(cat mount_error)"
fi

begin_kind 'a read-only folder' 'exit 64, names it'
if mount_small disk size=64m; then
  attempt_phase 1 0 disk/run "${settings[@]}"
  rm -f disk/run/model-phase0.safetensors
  mount -o remount,ro "$mounted"
  attempt_phase 1 0 disk/run "${settings[@]}"
  ended 64 'disk/run.*Read-only file system'
  mount -o remount,rw "$mounted"
  attempt_phase 1 0 disk/run "${settings[@]}"
  ranks=1 phase=0
  cp -r disk/run run
  ended 0 ''
  equal_bytes
  unmount
else
  skip_kind "$(cat mount_error)"
fi

begin_kind 'a full folder of temporary files' 'an error of mpirun, or exit 0'
if mount_small disk size=16k; then
  head -c 100000 /dev/zero >disk/filler 2>/dev/null || true
  fault=("TMPDIR=$mounted")
  TMPDIR=$mounted run_phase 2 0
  if [ "$code" -eq 0 ]; then
    ended 0 ''
    equal_bytes
  else
    tell "exit $code"
    resumed
  fi
  unmount
else
  skip_kind "$(cat mount_error)"
fi

begin_kind 'a collective with another shape on one rank (checked)' 'exit 70, names the rank'
code=0
timeout 60 mpirun --quiet -n 3 --bind-to none "$ACM_WRONG_SHAPE" >stdout 2>stderr || code=$?
ended 70 'rank 1'
