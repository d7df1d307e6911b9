#!/usr/bin/env bash
# Checks that this machine can build and run docket, and says what to install where it cannot.
set -euo pipefail

problems=0
complain() {
  printf 'docket needs %s\n  %s\n' "$1" "$2" >&2
  problems=$((problems + 1))
}
# at_least FOUND WANTED: whether a dotted version is new enough.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

wanted_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
  complain "Rust $wanted_rust or newer, but there is no cargo" "install it with rustup (https://rustup.rs), then open a new shell"
else
  found=$(rustc --version | cut -d ' ' -f 2)
  at_least "$found" "$wanted_rust" || complain "Rust $wanted_rust or newer, found $found" "rustup update stable"
fi

command -v cc >/dev/null || complain "a C compiler, for the linker and two libraries" "apt-get install build-essential"

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  complain "Python 3.11 or newer, but there is no $python" "apt-get install python3 python3-venv"
else
  found=$("$python" -c 'import platform; print(platform.python_version())')
  if ! at_least "$found" 3.11; then
    complain "Python 3.11 or newer, found $found" "install a newer one and run: make PYTHON=python3.12 ..."
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    complain "Python's venv module, which Debian and Ubuntu package apart" "apt-get install python3-venv"
  fi
  if ! "$python" scripts/python_library.py; then
    complain "Python as a library, to run plugins in" "apt-get install python3-dev (with pyenv: build Python with --enable-shared)"
  fi
fi

# Optional: nothing fails without it.
if [ ! -x /usr/sbin/nats-server ] && ! command -v nats-server >/dev/null; then
  printf 'docket can test its NATS sink, but there is no nats-server: those tests are skipped\n  %s\n' \
    "apt-get install nats-server" >&2
fi

if [ "$problems" -gt 0 ]; then
  exit 1
fi
