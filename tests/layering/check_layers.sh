#!/usr/bin/env bash
# Compares every #include of src/ and tests/ with layers.txt, and the table of rooms in src/README.md with it. Prints each
# violation as file:line: sentence. usage: check_layers.sh [ROOT OF THE REPOSITORY]
set -euo pipefail
cd -- "${1:-$(dirname -- "${BASH_SOURCE[0]}")/../..}" >/dev/null
layers=tests/layering/layers.txt

declare -A may_include=()  # room -> " room room ", itself included
declare -A only_in=()      # header prefix -> the files and folders that may include it
rooms=()
violations=0

violation() {
  printf '%s\n' "$1"
  violations=$((violations + 1))
}

read_layers() {
  local keyword name rest other line=0
  while read -r keyword name rest; do
    line=$((line + 1))
    [[ $rest != - ]] || rest=
    case $keyword in
      '' | '#'*) ;;
      room)
        for other in $rest; do
          [[ -n ${may_include[$other]:-} ]] || violation "$layers:$line: $name names $other, which is not a room above it"
        done
        may_include[$name]=" $name $rest "
        rooms+=("$name")
        ;;
      only) only_in[$name]=$rest ;;
      *) violation "$layers:$line: a line begins with room, only or #, not with '$keyword'" ;;
    esac
  done <$layers
}

# "room/file.h" in quotes: is the room known, and may this file's room include it? A test may include every room.
check_room() {
  local file=$1 line=$2 header=$3 from to
  if [[ $header == *../* ]]; then
    violation "$file:$line: \"$header\" climbs; write it from src/, as \"room/...\""
    return
  fi
  [[ $file == src/* ]] || return 0
  from=${file#src/}
  from=${from%%/*}
  to=${header%%/*}
  if [[ $to == "$header" || $to == . ]]; then
    violation "$file:$line: \"$header\" must be written from src/, as \"$from/...\""
  elif [[ -z ${may_include[$to]:-} ]]; then
    violation "$file:$line: \"$header\": $to/ is not a room; other libraries are included with <>"
  elif [[ ${may_include[$from]:-} != *" $to "* ]]; then
    violation "$file:$line: $from/ may not include $to/ (\"$header\")"
  fi
}

# A header that only some places may include: is this file one of them?
check_owner() {
  local file=$1 line=$2 header=$3 prefix owner longest=
  for prefix in "${!only_in[@]}"; do
    if [[ $header == "$prefix"* ]] && ((${#prefix} > ${#longest})); then longest=$prefix; fi
  done
  [[ -n $longest ]] || return 0
  for owner in ${only_in[$longest]}; do
    if [[ $file == "$owner" || $owner == */ && $file == "$owner"* ]]; then return 0; fi
  done
  violation "$file:$line: <$header> may be included only in ${only_in[$longest]:-no file}"
}

check_includes() {
  local file line text header room
  local pattern='^[[:space:]]*#[[:space:]]*include[[:space:]]*(["<])([^">]+)[">]'
  while IFS=: read -r file line text; do
    [[ $text =~ $pattern ]] || continue
    header=${BASH_REMATCH[2]}
    if [[ ${BASH_REMATCH[1]} == '"' ]]; then check_room "$file" "$line" "$header"; fi
    check_owner "$file" "$line" "$header"
  done < <(grep -rnE --include='*.h' --include='*.hpp' --include='*.cpp' --include='*.cc' --include='*.cu' --include='*.cuh' \
    '^[[:space:]]*#[[:space:]]*include' src tests)

  for file in src/*/; do
    room=${file#src/}
    [[ -n ${may_include[${room%/}]:-} ]] || violation "$file:1: not a room of $layers"
  done
}

# The table of src/README.md, row by row: | `room/` | what it holds | – or rooms or "all above" |
check_table() {
  [[ -f src/README.md ]] || return 0
  local line text room last other expected found above=' ' index=0
  # shellcheck disable=SC2016  # these backquotes stand in the table
  local row='^\| *`[a-z]+/` *\|'
  while IFS=: read -r line text; do
    room=${text#*\`}
    room=${room%%/*}
    last=${text%|*}
    last=${last##*|}
    if [[ $last == *'all above'* ]]; then
      last=$above
    else
      last=$(sed -e 's/([^)]*)//g' -e 's/–/ /g' -e 's/[^a-z]/ /g' <<<"$last")
    fi
    above+="$room "
    if [[ $room != "${rooms[index]:-}" ]]; then
      violation "src/README.md:$line: row of $room/, but $layers has ${rooms[index]:-no more rooms} here"
    else
      expected=$(tr ' ' '\n' <<<"${may_include[$room]}" | grep -vx -e "$room" -e '' | sort | tr '\n' ' ' || true)
      found=$(for other in $last; do printf '%s\n' "$other"; done | sort | tr '\n' ' ')
      [[ $expected == "$found" ]] ||
        violation "src/README.md:$line: says that $room/ may include '${found% }', $layers says '${expected% }'"
    fi
    index=$((index + 1))
  done < <(grep -nE "$row" src/README.md)
  ((index == ${#rooms[@]})) || violation "src/README.md:1: has $index rows of rooms, $layers has ${#rooms[@]} rooms"
}

read_layers
check_includes
check_table
if ((violations > 0)); then
  printf '%d violations of %s\n' "$violations" "$layers"
  exit 1
fi
printf 'every include is allowed by %s\n' "$layers"
