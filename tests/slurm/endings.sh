#!/usr/bin/env bash
# How a job ends that Slurm ends. Before its time is over the batch shell gets USR1; one that does not leave then gets TERM at the end of its time; both
# begin again. A job that was cancelled saves too, and stays away. The program is told how much time is left, and saves in time without any signal.
. "$(dirname "$0")/lib.sh"
stand_in=$ACM_SOURCE/tests/slurm/stand_in.sh

# Slurm gives the job a minute, and does not warn it: URG is a signal that nobody heeds.
SBATCH_TIMELIMIT=1 SBATCH_SIGNAL=B:URG@1 submit_phase 0 timely --set pretrain.steps=100000 --set pretrain.save_every=0
timely=$id
# The signal comes 120 s before the end, so at once, or when Slurm next looks.
ACM_DIST=$stand_in ACM_ENDS='until:USR1 0' submit --time=2 slurm/phase.sbatch --phase 1
warned=$id
ACM_DIST=$stand_in ACM_ENDS='until:TERM 0' submit --time=10 slurm/phase.sbatch --phase 1
late=$id
ACM_DIST=$stand_in ACM_ENDS='until:TERM 0' submit slurm/phase.sbatch --phase 1
cancelled=$id

await says "$cancelled" 'stand-in: waiting'
scancel "$cancelled"
await says "$late" 'stand-in: waiting'
scontrol update JobId="$late" EndTime=now+10

expect_end "$cancelled" CANCELLED 0 75
expect_in "$cancelled.log" 'Slurm is ending the job .*: not begun again from here'
expect_in "$cancelled.log" '^stand-in: --phase 1$'

expect_end "$warned" COMPLETED 1
expect_in "$warned.log" 'asking the ranks to save and stop'
expect_in "$warned.log" '^stand-in: --phase 1 --time-left (2:00|1:5[0-9])$'

expect_end "$late" COMPLETED 1
expect_in "$late.log" 'DUE TO TIME LIMIT'
expect_in "$late.log" '^stand-in: --phase 1 --time-left (10:00|9:5[0-9])$'

await says "$timely" '^== job .* restart 1,'
expect_in "$timely.log" 'stopped and saved; the same command goes on from here'
expect_not_in "$timely.log" 'asking the ranks|TIME LIMIT'
scancel "$timely"
