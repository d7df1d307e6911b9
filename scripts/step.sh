#!/usr/bin/env bash
# Runs one step of a check quietly: says when it starts, how long it took and the runner's closing lines; a failure
# shows the end of its output. The whole output is kept in target/logs/NAME.log.
#
# Usage: scripts/step.sh NAME COMMAND [ARGUMENT...]
set -euo pipefail

name=$1
shift
mkdir -p target/logs
log="target/logs/$name.log"
started=$SECONDS
printf '> %s\n' "$name"

verdict=ok
"$@" >"$log" 2>&1 || verdict="FAILED (exit $?)"

seconds=$((SECONDS - started))
if [ "$verdict" = ok ]; then
  # The lines by which test runners and checkers sum themselves up.
  closing=$(grep -aE '^ *(Running |Doc-tests )|^test result|[0-9]+ (passed|failed|skipped|errors?)[ ,]|^(All checks|advisories|bans|licenses|skipped)|already formatted|^unsteady: ' "$log" || true)
  printf '%s\n' "${closing:+$closing
}= $name: ok in $seconds s"
else
  # The failures once more at the very end: whoever sees only the last lines still learns what failed.
  failures=$(grep -anE '^(test .*FAILED|FAILED |FINDING |error(\[|:)|E  )|panicked at' "$log" | cut -c1-300 | head -n 12 || true)
  printf '%s\n' "$(tail -n 80 "$log")
${failures:+What failed:
$failures
}= $name: $verdict after $seconds s; whole output in $log"
  exit 1
fi
