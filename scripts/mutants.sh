#!/usr/bin/env bash
# Mutation testing of the rules that must not rot: transition table, guards, audit chain, idempotency, visibility and
# authorization. Fails when fewer than 85 % of the viable mutants are noticed.
#
# Two runs, each with only the tests that are meant to notice: the domain by its own, the use cases by those on fakes
# (the contract's PostgreSQL half is left out, because the copy that is mutated has no server). `scripts/mutants.sh domain`
# or `… application` runs one of them; further arguments go to cargo-mutants, for instance `--shard 1/8`.
set -euo pipefail

part=all
case "${1:-}" in domain | application) part=$1 && shift ;; esac

# judge NAME ARGUMENTS...: mutates, counts, and says whether enough was noticed.
judge() {
  local name=$1 rc=0 noticed viable
  shift
  mkdir -p "target/mutants-$name"
  cargo mutants --output "target/mutants-$name" --no-shuffle "$@" || rc=$?
  # 2: some mutants were missed, 3: some timed out. Everything else is a failure of the run itself.
  if [ "$rc" -ne 0 ] && [ "$rc" -ne 2 ] && [ "$rc" -ne 3 ]; then
    exit "$rc"
  fi
  lines() { wc -l <"target/mutants-$name/mutants.out/$1.txt"; }
  noticed=$(($(lines caught) + $(lines timeout)))
  viable=$((noticed + $(lines missed)))
  if [ "$viable" -eq 0 ]; then
    echo "$name: no mutant was viable: the list of files is wrong" >&2
    exit 1
  fi
  echo "$name: $noticed of $viable viable mutants noticed: $((100 * noticed / viable)) %"
  [ $((100 * noticed / viable)) -ge 85 ]
}

if [ "$part" != application ]; then
  judge domain --package docket-domain --test-package docket-domain \
    --file 'domain/src/case/**' --file 'domain/src/audit/**' --file domain/src/idempotency.rs \
    --file domain/src/principal.rs "$@"
fi
if [ "$part" != domain ]; then
  judge application --package docket --test-package docket \
    --file src/application/cases/unit_of_work.rs --file src/application/request.rs \
    --file src/application/tenancy/authenticate.rs --file src/entrypoints/http/extract/write_headers.rs \
    "$@" -- --lib --test application -- --skip on_postgres
fi
