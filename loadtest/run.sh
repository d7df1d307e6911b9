#!/usr/bin/env bash
# Runs load tests against a service that it starts itself, over a database of its own that is gone afterwards. Reports are
# written to loadtest/reports (REPORT_DIR): NAME.md (thresholds and times) and NAME.html (charts); a run without them has failed.
#
# Usage: loadtest/run.sh SCENARIO...       DOCKET names the binary, K6 the tool; DOCKET_DEMO_FILE takes a running service instead
set -euo pipefail
cd "$(dirname "$0")/.."

docket=${DOCKET:-target/release/docket}
k6=${K6:-$(command -v .tools/bin/k6 || command -v k6 || true)}
if [ -z "$k6" ]; then
  echo "skipped: k6 is missing; \`make k6\` builds it where Go is, loadtest/README.md says how to install it elsewhere"
  exit 0
fi
export REPORT_DIR=${REPORT_DIR:-$PWD/loadtest/reports}
mkdir -p "$REPORT_DIR"

if [ -z "${DOCKET_DEMO_FILE:-}" ]; then
  directory=$(mktemp -d)
  # Reading documents would be a load beside the load: only where questions are asked of them, and before anything is measured.
  documents=--no-documents
  case " $* " in *" answers "*) documents= ;; esac
  # The limits for one client are lifted: k6 is many clients behind one key.
  DOCKET_DATA_DIR=$directory DOCKET_SERVER__BIND=127.0.0.1:0 DOCKET_TELEMETRY__LOG_FILTER=warn \
    DOCKET_LIMITS__PRINCIPAL_REQUESTS_PER_SECOND=100000 DOCKET_LIMITS__PRINCIPAL_BURST=100000 DOCKET_LIMITS__PRINCIPAL_IN_FLIGHT=100000 \
    DOCKET_LIMITS__TENANT_REQUESTS_PER_SECOND=100000 DOCKET_LIMITS__TENANT_BURST=100000 \
    "$docket" demo $documents >"$directory/service.log" 2>&1 &
  service=$!
  stop() {
    kill -TERM "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
    rm -rf "$directory"
  }
  trap stop EXIT
  export DOCKET_DEMO_FILE=$directory/demo.json
  ready() {
    [ -s "$DOCKET_DEMO_FILE" ] || return 1
    local url
    url=$(sed -n 's/.*"url": "\(.*\)".*/\1/p' "$DOCKET_DEMO_FILE")
    [ "$(python3 -c "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1] + '/readyz').status)" "$url" 2>/dev/null)" = 200 ] || return 1
    [ -n "$documents" ] || grep -q 'demo documents can be asked' "$directory/service.log"
  }
  for _ in $(seq 1200); do
    if ready; then break; fi
    if ! kill -0 "$service" 2>/dev/null; then
      cat "$directory/service.log" >&2
      exit 1
    fi
    sleep 0.5
  done
  if ! ready; then
    echo "the service did not become ready in ten minutes:" >&2
    tail -n 20 "$directory/service.log" >&2
    exit 1
  fi
fi

failed=()
for scenario in "$@"; do
  echo "> k6 $scenario"
  watcher=
  if [ "$scenario" = soak ]; then
    python3 loadtest/resources.py "$(sed -n 's/.*"url": "\(.*\)".*/\1/p' "$DOCKET_DEMO_FILE")" "$REPORT_DIR/soak.csv" &
    watcher=$!
  fi
  rm -f "$REPORT_DIR/$scenario".{md,html,json}
  K6_WEB_DASHBOARD=true K6_WEB_DASHBOARD_PORT=-1 K6_WEB_DASHBOARD_PERIOD=1s K6_WEB_DASHBOARD_EXPORT=$REPORT_DIR/$scenario.html \
    K6_NO_USAGE_REPORT=true "$k6" run --quiet --no-color "loadtest/$scenario.js" || failed+=("$scenario")
  for page in md html; do
    [ -s "$REPORT_DIR/$scenario.$page" ] || failed+=("$scenario: the report $scenario.$page was not written")
  done
  if [ "$scenario" = overload ]; then
    python3 loadtest/judge_overload.py "$REPORT_DIR/overload.json" || failed+=("overload: R15, see above")
  fi
  if [ -n "$watcher" ]; then
    kill -TERM "$watcher"
    wait "$watcher" || failed+=("soak: resources")
  fi
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "thresholds were crossed, or reports are missing:"
  printf '  %s\n' "${failed[@]}"
  exit 1
fi
