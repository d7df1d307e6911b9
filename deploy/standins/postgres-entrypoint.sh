#!/bin/sh
# Does what the published image's entry point does with an empty volume: makes a cluster with POSTGRES_USER as its
# superuser, its password and its database, and then becomes the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  umask 077
  printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust \
    --encoding=UTF8 --locale=C.UTF-8 --pgdata="$PGDATA" >/tmp/initdb.log || { cat /tmp/initdb.log >&2; exit 1; }
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # Not reachable from elsewhere until the database exists, so that nobody finds a server without it.
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait --silent start
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --pgdata="$PGDATA" --wait --silent stop
fi
exec "$@" -c "listen_addresses=*"
