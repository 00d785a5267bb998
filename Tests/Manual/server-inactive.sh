#!/bin/bash
# Server Inactive at full length: three ASM Services with default times, one of them killed; about 18 minutes.
#
#   Tests/Manual/server-inactive.sh [ASM]        ASM: the program, default .build-tests/debug/asm
#
# It takes a PostgreSQL of its own on free loopback ports, copies the program, and removes everything at the end.
# Expected: nothing for 9 to 11 minutes after the kill, then one incident, one event and one mail per address; nothing more
# while the server stays away; after it is back, the incident is closed after two minutes. The exit status says so.
set -euo pipefail

asm=${1:-.build-tests/debug/asm}
folder=$(mktemp -d /tmp/asm-inactive.XXXXXX)
cp "$asm" "$folder/asm"
chmod 755 "$folder"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
as_postgres=(); (( $(id -u) != 0 )) || as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --)
mkdir "$folder/pg"
(( $(id -u) != 0 )) || chown postgres "$folder/pg"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
pids=()

finish() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    (cd / && "${as_postgres[@]}" "$bin/pg_ctl" -D "$folder/pg/data" -m immediate stop >/dev/null 2>&1) || true
    rm -rf "$folder"
}
trap finish EXIT

(cd / && "${as_postgres[@]}" "$bin/initdb" -D "$folder/pg/data" -U postgres -A trust --no-sync >/dev/null
 "${as_postgres[@]}" "$bin/pg_ctl" -D "$folder/pg/data" -w -l "$folder/pg/log" \
    -o "-c port=$port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder/pg" start >/dev/null)
psql() { command psql -h 127.0.0.1 -p "$port" -U postgres -At "$@"; }
psql -q -c 'CREATE DATABASE asm'
database=postgresql://postgres@127.0.0.1:$port/asm
sql() { psql -d asm -c "$1"; }
said=0
say() { printf '%s  +%4d s  %s\n' "$(date -u +%H:%M:%S)" $((SECONDS - said)) "$*"; }

serve() {  # serve NUMBER: starts a service and remembers its pid
    "$folder/asm" service --database "$database" --name "server-$1:7400" --listen 127.0.0.1:0 \
        >>"$folder/$1.log" 2>&1 &
    pids[$1]=$!
}
incidents() { sql "SELECT count(*) FROM incident WHERE kind = 'inactive' AND closed_at IS NULL"; }
events() { sql "SELECT count(*) FROM event_log WHERE event = 'Server Inactive'"; }
mails() { sql "SELECT count(*) || ' ' || count(DISTINCT recipient) FROM mail_outbox WHERE event = 'Server Inactive'"; }

"$folder/asm" migrate --database "$database"
sql "INSERT INTO mail_entry (id, event, recipients, sender, subject, server, port, login, password, use_tls, encrypted,
        created_at)
     VALUES (1, NULL, 'admin@mercy.example,oncall@mercy.example', 'asm@mercy.example', '', '127.0.0.1', 9, '', '', 0, 0, 0)" \
    >/dev/null
for number in 1 2 3; do serve $number; done
until [[ $(sql "SELECT count(*) FROM server WHERE state = 'active'") == 3 ]]; do sleep 1; done
sleep 75  # so that Last Active has been written again
"$folder/asm" servers --database "$database"

kill -9 "${pids[1]}"
said=$SECONDS
say "server-1 killed; last active $(sql "SELECT to_timestamp(last_active / 1e6) FROM server WHERE address LIKE 'server-1:%'")"
early=0
until [[ $(events) != 0 ]]; do
    (( SECONDS - said < 760 )) || { say "FAILED: no Server Inactive after 760 s"; exit 1; }
    sleep 1
done
took=$((SECONDS - said))
say "Server Inactive: $(sql "SELECT summary FROM event_log WHERE event = 'Server Inactive'")"
say "age of Last Active then: $(sql "SELECT (i.opened_at - s.last_active) / 1000000 FROM incident i JOIN server s ON s.id = i.server_id WHERE i.kind = 'inactive'") s"
(( took >= 539 )) || early=1
"$folder/asm" servers --database "$database"

sleep 150
say "150 s later: $(events) event(s), $(incidents) open incident(s), mails and addresses: $(mails)"
[[ "$(events) $(incidents) $(mails)" == "1 1 2 2" ]] || { say "FAILED: expected one event, one incident, two mails"; exit 1; }

serve 1
back=$SECONDS
until [[ $(incidents) == 0 ]]; do
    (( SECONDS - back < 200 )) || { say "FAILED: the incident is open 200 s after the return"; exit 1; }
    sleep 1
done
say "server-1 has been back for $((SECONDS - back)) s: the incident is closed"
[[ "$(events) $(mails)" == "1 2 2" ]] || { say "FAILED: more was told"; exit 1; }
(( early == 0 )) || { say "FAILED: told too early"; exit 1; }
say "PASSED: one incident, one event, one mail for each of two addresses"
