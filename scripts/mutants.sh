#!/usr/bin/env bash
# Mutation testing of the rules that must not rot: transition table, guards, audit chain, idempotency, visibility and
# authorization. Fails when fewer than 85 % of the viable mutants are noticed.
set -euo pipefail

rc=0
cargo mutants --package docket-domain --test-package docket-domain \
  --file 'domain/src/case/**' --file 'domain/src/audit/**' --file domain/src/idempotency.rs --file domain/src/principal.rs \
  --output target --no-shuffle "$@" || rc=$?
# 2: some mutants were missed, 3: some timed out. Everything else is a failure of the run itself.
if [ "$rc" -ne 0 ] && [ "$rc" -ne 2 ] && [ "$rc" -ne 3 ]; then
  exit "$rc"
fi

lines() { wc -l <"target/mutants.out/$1.txt"; }
noticed=$(($(lines caught) + $(lines timeout)))
viable=$((noticed + $(lines missed)))
if [ "$viable" -eq 0 ]; then
  echo "no mutant was viable: the list of files is wrong" >&2
  exit 1
fi
share=$((100 * noticed / viable))
echo "$noticed of $viable viable mutants noticed: $share %"
[ "$share" -ge 85 ]
