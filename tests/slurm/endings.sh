#!/usr/bin/env bash
# How a job ends that Slurm ends: before its time is over the batch shell gets USR1; one that does not leave then gets TERM at the end of its time; both
# begin again. A job that was cancelled saves too, and stays away. The program is told how much time is left.
. "$(dirname "$0")/lib.sh"
export ACM_DIST=$ACM_SOURCE/tests/slurm/stand_in.sh

# The signal comes 120 s before the end, so at once, or when Slurm next looks, which it does every 30 s.
ACM_ENDS='until:USR1 0' submit --time=2 slurm/phase.sbatch --phase 1
warned=$id
ACM_ENDS='until:TERM 0' submit --time=10 slurm/phase.sbatch --phase 1
late=$id
ACM_ENDS='until:TERM 0' submit slurm/phase.sbatch --phase 1
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
