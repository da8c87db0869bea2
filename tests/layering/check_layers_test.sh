#!/usr/bin/env bash
# Plants violations in a small tree, one at a time, and expects check_layers.sh to name file and line of each, and nothing else.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" >/dev/null && pwd)
tree=$(mktemp -d)
trap 'rm -rf -- "$tree"' EXIT
failures=0

fail() {
  printf 'FAILED: %s\n' "$1"
  failures=$((failures + 1))
}

# include FILE HEADER...: FILE of the tree, with these includes from its third line on.
include() {
  local file=$1
  shift
  printf '// A planted file.\n\n' >"$tree/$file"
  printf '#include %s\n' "$@" >>"$tree/$file"
}

# A tree with every kind of include that is allowed.
plant_clean_tree() {
  rm -rf -- "${tree:?}"/*
  mkdir -p "$tree/tests/layering" "$tree"/src/{core,config,comm/mpi,io,data,nn,acm,train,phases,app} "$tree/tests/unit/nn"
  cp "$here/layers.txt" "$tree/tests/layering/"
  include src/core/log.cpp '<spdlog/spdlog.h>'
  include src/comm/mpi/world.cpp '"core/error.h"' '<mpi.h>'
  include src/io/cache.cpp '<hdf5.h>' '<zlib.h>'
  include src/nn/site.h '"data/batch.h"' '<torch/nn/module.h>' '<vector>'
  include src/acm/gate.cpp '<torch/csrc/autograd/custom_function.h>'
  include src/train/gradient_reducer.cpp '<torch/csrc/autograd/variable.h>'
  include tests/unit/nn/site_test.cpp '"nn/site.h"' '<nlohmann/json.hpp>'
  {
    printf '# Rooms\n\n| Folder | Holds | May include |\n|---|---|---|\n'
    printf "| \`core/\` | a | – |\n| \`config/\` | b | core |\n| \`comm/\` | c | core |\n| \`io/\` | d | core |\n"
    printf "| \`data/\` | e | core, config, io |\n| \`nn/\` | f | core, config, io, data (\`Batch\`) |\n"
    printf "| \`acm/\` | g | core, config, nn |\n| \`train/\` | h | core, config, comm, io, data |\n"
    printf "| \`phases/\` | i | all above |\n| \`app/\` | j | all above |\n"
  } >"$tree/src/README.md"
}

# found FILE:LINE WHAT: check_layers.sh fails on the tree as it stands now and names FILE:LINE alone.
found() {
  local output
  if output=$(bash "$here/check_layers.sh" "$tree"); then fail "not noticed: $2"; fi
  [[ $output == "$1: "* ]] || fail "$2: expected $1, got: $output"
  [[ $(wc -l <<<"$output") == 2 ]] || fail "$2: one violation expected, got: $output"
}

# planted FILE HEADER: one more file, whose include is refused.
planted() {
  plant_clean_tree
  include "$1" "$2"
  found "$1:3" "#include $2 in $1"
}

plant_clean_tree
bash "$here/check_layers.sh" "$tree" >/dev/null || fail "a clean tree was refused: $(bash "$here/check_layers.sh" "$tree")"

planted src/core/planted.h '"comm/world.h"'
planted src/acm/planted.cpp '"data/batch.h"'
planted src/train/planted.cpp '"nn/site.h"'
planted src/phases/planted.cpp '"app/options.h"'
planted src/io/planted.h '"../core/error.h"'
planted src/io/planted.h '"cache.h"'
planted src/train/planted.cpp '<mpi.h>'
planted src/comm/planted.cpp '<nccl.h>'
planted src/phases/planted.cpp '<c10/cuda/CUDAStream.h>'
planted src/data/planted.cpp '<hdf5.h>'
planted src/data/planted.cpp '<zlib.h>'
planted src/app/planted.cpp '<toml++/toml.h>'
planted src/core/planted.cpp '<spdlog/spdlog.h>'
planted src/io/planted.cpp '<nlohmann/json.hpp>'
planted src/io/planted.cpp '<xxhash.h>'
planted src/config/planted.cpp '<CLI/CLI.hpp>'
planted src/nn/planted.h '<torch/torch.h>'
planted src/acm/planted.cpp '<torch/csrc/autograd/variable.h>'
planted src/nn/planted.cpp '<torch/csrc/autograd/custom_function.h>'
planted tests/unit/nn/planted_test.cpp '<mpi.h>'
planted tests/unit/nn/planted_test.cpp '<hdf5.h>'
planted tests/unit/nn/planted_test.cpp '"../../../src/nn/site.h"'

plant_clean_tree && mkdir "$tree/src/attic"
found src/attic/:1 'a folder that is not a room'
plant_clean_tree && sed -i 's/| e | core, config, io |/| e | core, io |/' "$tree/src/README.md"
found src/README.md:9 'a row that says something else than layers.txt'
plant_clean_tree && sed -i '/`app/d' "$tree/src/README.md"
found src/README.md:1 'a room without a row'
plant_clean_tree && sed -i 's/^room core .*/room core io/' "$tree/tests/layering/layers.txt" && rm "$tree/src/README.md"
found "tests/layering/layers.txt:$(grep -n '^room core' "$here/layers.txt" | cut -d: -f1)" 'a room that names a higher one'

((failures == 0)) || exit 1
echo 'every planted violation was found'
