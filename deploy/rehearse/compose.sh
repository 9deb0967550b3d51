#!/bin/sh
# Brings compose.yaml up, with its monitoring if MONITORING is set, plays on it, and takes it down with its volumes. Needs Docker with Compose.
#
# From the top of the source, after `docker compose build`: deploy/rehearse/compose.sh. COMPOSE names another `docker compose`, COMPOSE_FILE other files.
set -eu
compose="${COMPOSE:-docker compose} --project-name aiba-rehearsed-$$ ${MONITORING:+--profile monitoring}"
api=http://127.0.0.1:5000

say() { echo "# $*"; }
fail() { echo "NOT SO: $*"; $compose ps --all; $compose logs --tail 30; exit 1; }
trap '$compose down --volumes --timeout 45 > /dev/null 2>&1 || true' EXIT
within() { $compose exec -T "$@"; }

say 'up, every service healthy'
$compose up --detach --wait || fail 'up'
curl --fail --silent "$api/ready" || fail 'ready'

say 'a battle'
within api python -c 'import json, pathlib
secrets = json.loads(pathlib.Path("/data/dev-secrets.json").read_text())
pathlib.Path("/tmp", "telegram-bot-token").write_text(secrets["TELEGRAM_BOT_TOKEN"])'
play() { within api python - http://127.0.0.1:5000 /tmp "$@" < deploy/rehearse/play.py; }
play battle || fail 'a battle'
within api aiba audit || fail 'audit'

say 'the signer: apart, and its socket reached by the API alone'
within signer aiba signer status > /dev/null || fail 'the store of the signer'
within api sh -c '! ls /signer/oracle.key' 2> /dev/null || fail 'the key is in the API too'
within api python -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/signer/signer.sock")' || fail 'the socket'

if test -n "${MONITORING:-}"; then
    say 'watched: the API is scraped, and the rules are loaded'
    n=0
    until curl --silent 'http://127.0.0.1:9090/api/v1/query?query=up' | grep -q '"job":"aiba".*"1"'; do
        n=$((n + 1)); test "$n" -lt 60 || fail 'not scraped'; sleep 1
    done
    curl --silent http://127.0.0.1:9090/api/v1/rules | grep -q 'Aiba' || fail 'no rules'
fi

say 'down and up again on its volumes, all is there'
before=$(within api aiba audit | head -1)
$compose down --timeout 45 > /dev/null 2>&1 || fail 'down'
$compose up --detach --wait || fail 'up again'
after=$(within api aiba audit | head -1)
test "$before" = "$after" || fail "before: $before; after: $after"
say 'all of it is so'
