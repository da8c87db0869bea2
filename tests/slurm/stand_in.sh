#!/usr/bin/env bash
# Stands in for acm_dist in tests of what the batch scripts make of its end. ACM_ENDS has a word for each start of the job: an exit code, the
# name of a signal that kills it, or `until:SIGNAL`, to run until that signal comes and then leave with 75; other polite signals do nothing.
read -ra ends <<<"$ACM_ENDS"
end=${ends[${SLURM_RESTART_COUNT:-0}]}
echo "stand-in: $*"
case $end in
  until:*)
    trap '' USR1 TERM
    # shellcheck disable=SC2064  # now
    trap "exit 75" "${end#until:}"
    echo "stand-in: waiting"
    while true; do sleep 0.1; done
    ;;
  [0-9]*) exit "$end" ;;
  *) kill -s "$end" $$ ;;
esac
