#!/usr/bin/env bash
# With safety.rollbacks a run whose numbers stop being finite goes back to its last checkpoint, leaves the step out, and ends; without, it names
# the step, the rank and the tensor. A learning rate that makes the loss overflow for good ends it all the same, after so many returns.
. "$(dirname "$0")/lib.sh"

EXPECT=70 train 2 0 run --set pretrain.learning_rate=1e30 --set pretrain.save_every=1 --set safety.rollbacks=2
expect_in stderr 'warning: phase pretrain, step 2: the loss or its gradient is not finite .*, first in .* on (rank [01]|every rank); going on from step 1, and step 2 will be left out \(return 1 of 2 that safety.rollbacks allows\)'
expect_in stderr '^acm_dist: phase pretrain, step 4: .*, after 2 returns to a checkpoint; the checkpoint of step [123] was kept'
