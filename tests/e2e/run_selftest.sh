#!/usr/bin/env bash
# The self-test holds here, in less than two minutes, and leaves nothing behind; a program that does not keep its word is found out.
. "$(dirname "$0")/lib.sh"

started=$SECONDS
code=0
"$ACM_BUILD/acm_dist" selftest --dir "$scratch/rehearsal" >stdout 2>stderr || code=$?
cat stdout stderr
[ "$code" -eq 0 ] || fail "the self-test ended with $code"
expect_in stdout '^everything held$'
[ "$(grep -c '  held$' stdout)" -eq 12 ] || fail "twelve lines should hold"
[ ! -e rehearsal ] || fail "the folder was left behind"
[ $((SECONDS - started)) -le 120 ] || fail "it took $((SECONDS - started)) s"

code=0
"$ACM_BUILD/acm_dist" selftest --dir "$scratch/broken" --launcher 'env OMP_NUM_THREADS=1 false' >stdout 2>stderr || code=$?
[ "$code" -eq 71 ] || fail "a launcher that starts nothing gave $code"
expect_in stdout 'DID NOT HOLD: it ended with 1, expected 0'
EXPECT=64 acm 1 selftest --dir "$scratch/broken"
expect_in stderr 'it is not empty; name a new folder with --dir'
