#!/usr/bin/env bash
# Licences, bans and sources of every dependency; security advisories where their database can be fetched.
set -euo pipefail

deny=.tools/bin/cargo-deny
"$deny" --locked check licenses bans sources

if timeout 120 "$deny" fetch db >/dev/null 2>&1; then
  "$deny" --locked check --disable-fetch advisories
else
  echo "skipped: advisories (the database at https://github.com/RustSec/advisory-db cannot be fetched from here)"
fi
