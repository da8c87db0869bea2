#!/usr/bin/env bash
# Everything between a fresh Debian 12 and a built acm_dist: packages, LibTorch, configure, build. Each step does only what is
# still missing, so running it again costs seconds. quickstart.sh and test.sh begin with it.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)

packages=(g++ cmake ninja-build ccache python3-pip libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools libspdlog-dev
  libtomlplusplus-dev nlohmann-json3-dev libcli11-dev libgtest-dev libxxhash-dev zlib1g-dev libjpeg62-turbo-dev libpng-dev
  libbenchmark-dev dataset-fashion-mnist)
# Tests that need one of these are skipped where it is not there.
test_packages=(slurmctld slurmd slurm-client munge shellcheck qemu-user)
# torch carries LibTorch. libtorch_cpu itself needs the two CUDA libraries to start, with or without a GPU.
wheels=(torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
# What libtorch_cuda needs that neither torch nor the CUDA toolkit holds: for the preset cuda, where nvcc is found.
cuda_wheels=(nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5 nvidia-cufile==1.15.1.6)
preset=release
targets=(all)
tests=

usage() {
  cat <<'EOF'
usage: launch/setup.sh [--preset NAME] [--target NAME] [--tests]

Installs what acm_dist needs, configures and builds it. Run again, it does only what is missing.
  1. Debian packages, only those that are missing (as root, or with sudo)
  2. LibTorch 2.11 from the torch wheel into .deps/torch (544 MB to fetch, 1.2 GB on disk; where nvcc is found also three
     libraries that the preset cuda links: 775 MB, 1.5 GB)
  3. cmake, with a preset of CMakePresets.json
  4. the build, on all cores but with 2 GiB of memory for each compiler; through ccache where it is found

  --preset NAME   release (default) builds into build/, any other into build-NAME/
  --target NAME   build only this target, for example acm_dist (default: everything)
  --tests         install also what only tests need: Slurm, which they start by themselves, shellcheck and QEMU
EOF
}

die() {
  local code=$1
  shift
  printf 'setup: %s\n' "$*" >&2
  exit "$code"
}

milliseconds() { printf '%s' $((${EPOCHREALTIME//[.,]/} / 1000)); }

# finish SINCE TEXT: one closing line for a step, with the seconds since the time SINCE in milliseconds.
finish() {
  local elapsed=$(($(milliseconds) - $1))
  printf '%s (%d.%d s)\n' "$2" $((elapsed / 1000)) $((elapsed % 1000 / 100))
}

# quietly LOG COMMAND...: the command's output goes to LOG, and its end to the terminal when the command fails.
quietly() {
  local log=$1 code=0
  shift
  "$@" >"$log" 2>&1 || code=$?
  if ((code != 0)); then
    tail -n 40 -- "$log" >&2
    die "$code" "failed with code $code (the whole output is in $log): $*"
  fi
}

# install_packages PACKAGES...: those of them that are missing.
install_packages() {
  local since package installed missing=() as_root=()
  since=$(milliseconds)
  command -v dpkg-query >/dev/null ||
    die 64 "this is not a Debian system (no dpkg-query): install what these Debian packages hold by other means, then use cmake: $*"
  installed=$'\n'$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)$'\n'
  for package in "$@"; do
    [[ $installed == *$'\n'"$package installed"$'\n'* ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    finish "$since" "packages: all present"
    return
  fi
  printf 'packages: installing %s\n' "${missing[*]}"
  if ((EUID != 0)); then
    as_root=(sudo)
    command -v sudo >/dev/null ||
      die 64 "this needs root or sudo, and sudo was not found; as root: apt-get install --no-install-recommends ${missing[*]}"
    # Asks for the password now: the output of the commands below goes to a file.
    sudo -v || die 64 "this needs root or a user who may use sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
  fi
  quietly "$root/.deps/apt-update.log" "${as_root[@]}" apt-get update
  quietly "$root/.deps/apt-install.log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
  finish "$since" "packages: ${#missing[@]} installed"
}

# pip leaves one folder NAME-VERSION.dist-info for each wheel. .deps/torch appears whole or not at all, so they are its stamp.
libtorch_present() {
  local wheel
  for wheel in "${wheels[@]}"; do
    wheel=${wheel//-/_}
    [[ -d $root/.deps/torch/${wheel/==/-}.dist-info ]] || return 1
  done
}

install_libtorch() {
  local since partial=$root/.deps/torch.partial
  since=$(milliseconds)
  if libtorch_present; then
    finish "$since" "LibTorch: ${wheels[0]#*==} present"
    return
  fi
  printf 'LibTorch: fetching %s into .deps/torch\n' "${wheels[*]}"
  rm -rf -- "$partial"
  # The fixed Python version and platforms choose the same wheel whatever Python runs pip; the C++ libraries do not use it.
  quietly "$root/.deps/pip.log" /usr/bin/python3 -m pip install --no-compile --disable-pip-version-check \
    --root-user-action=ignore --target "$partial" --no-deps --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 "${wheels[@]}"
  rm -rf -- "$root/.deps/torch"
  mv -- "$partial" "$root/.deps/torch"
  finish "$since" "LibTorch: ${wheels[0]#*==} installed"
}

configure() {
  local since
  since=$(milliseconds)
  quietly "$root/.deps/configure.log" cmake -S "$root" --preset "$preset"
  finish "$since" "configure: preset $preset into ${build#"$root"/}/"
}

# The memory of the machine, or of the container where that has less.
memory_mib() {
  local mib limit file
  mib=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    limit=$(cat "$file" 2>/dev/null || true)
    if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1048576 < mib)); then mib=$((limit / 1048576)); fi
  done
  printf '%s' "$mib"
}

# A compiler that reads LibTorch's headers takes up to 1.3 GiB: 2 GiB for each, rounded to the nearest.
compilers() {
  local cores by_memory
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  by_memory=$((($(memory_mib) + 1024) / 2048))
  ((by_memory >= 1)) || by_memory=1
  printf '%s' $((cores < by_memory ? cores : by_memory))
}

build_targets() {
  local since jobs
  since=$(milliseconds)
  jobs=$(compilers)
  printf 'build: %s, %d at a time\n' "${targets[*]}" "$jobs"
  # Lets ccache serve a tree that was built before in another folder.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
  cmake --build "$build" --parallel "$jobs" --target "${targets[@]}" || die $? "the build failed (see above)"
  finish "$since" "build: done"
}

while (($# > 0)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --preset | --target) (($# >= 2)) || die 64 "$1 needs a value (see --help)" ;;&
    --preset) preset=$2 && shift 2 ;;
    --target) targets=("$2") && shift 2 ;;
    --tests) tests=1 && shift ;;
    *) die 64 "unknown option '$1' (see --help)" ;;
  esac
done
build=$root/build
[[ $preset == release ]] || build=$root/build-$preset

if command -v nvcc /usr/local/cuda/bin/nvcc >/dev/null; then wheels+=("${cuda_wheels[@]}"); fi

mkdir -p -- "$root/.deps"
install_packages "${packages[@]}"
if [[ $tests ]]; then
  (install_packages "${test_packages[@]}") || echo "packages: going on without; tests that need ${test_packages[*]} are skipped" >&2
fi
install_libtorch
configure
build_targets
