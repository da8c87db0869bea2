#!/usr/bin/env bash
# A run saves and stops before its time is over, told by --time-left or by Slurm's variable, and goes on the next time.
. "$(dirname "$0")/lib.sh"

EXPECT=75 train 2 0 run --set pretrain.steps=100000 --time-left 00:00:10
expect_in stderr 'the time of this job is nearly over: saving and stopping'
expect_in stderr 'stopped and saved'
end=$(($(date +%s) + 20))
SLURM_JOB_END_TIME=$end EXPECT=75 train 1 0 run --set pretrain.steps=100000
[ "$(date +%s)" -le "$end" ] || fail "the job would have been ended from outside"
expect_in stderr 'starting at step [1-9][0-9]* of 100000 \(the newest whole checkpoint'
EXPECT=64 train 1 0 run --time-left soon
expect_in stderr "'soon' is no length of time: give seconds"
