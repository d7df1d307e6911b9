#!/usr/bin/env bash
# Describes every checked SQL query of the crate against a database built from `migrations/`.
#
#   scripts/sqlx_prepare.sh write    replaces .sqlx
#   scripts/sqlx_prepare.sh check    fails when .sqlx differs from what would be written
#
# The query macros write their findings into SQLX_OFFLINE_DIR while the crate compiles, so no further tool is needed.
set -euo pipefail

mode=${1:?write or check}
fresh=$(mktemp -d "${TMPDIR:-/tmp}/docket-sqlx-XXXXXX")
stamp=$(mktemp)
touch --reference=src/lib.rs "$stamp"
# The touch below forces the macros to run again; giving the file its time back spares every other build.
trap 'touch --reference="$stamp" src/lib.rs; rm -rf "$fresh" "$stamp"' EXIT

touch src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh .venv/bin/python scripts/schema_database.py \
  cargo check --quiet --package docket --all-targets

mkdir -p .sqlx
if [ "$mode" = write ]; then
  rm -f .sqlx/query-*.json
  find "$fresh" -name 'query-*.json' -exec cp {} .sqlx/ \;
  echo ".sqlx describes $(find .sqlx -name 'query-*.json' | wc -l) queries"
elif ! diff --recursive --brief .sqlx "$fresh"; then
  echo ".sqlx is stale: run \`make sqlx\` and commit the folder" >&2
  exit 1
else
  echo ".sqlx is fresh: $(find .sqlx -name 'query-*.json' | wc -l) queries passed"
fi
