#!/bin/sh
# Builds the image and runs it as it has to be run: by nobody, on a read-only root, in production. Needs Docker, and nothing of Python.
#
# From the top of the source: deploy/rehearse/image.sh [BASE]. BASE as in docs/deploy.md; BUILD_OPTIONS are given to `docker build`.
set -eu
base=${1:-python:3.11-slim-bookworm}
image=aiba-rehearsed:$$
one=aiba-rehearsed-$$

say() { echo "# $*"; }
fail() { echo "NOT SO: $*"; docker logs "$one" 2>&1 | tail -40; exit 1; }
end() {
    docker rm --force --volumes "$one" "$one-files" > /dev/null 2>&1 || true
    docker volume rm "$one-secrets" "$one-data" "$one-backups" > /dev/null 2>&1 || true
    docker rmi "$image" > /dev/null 2>&1 || true
}
trap end EXIT
until_so() { n=0; until "$@"; do n=$((n + 1)); test "$n" -lt 120 || fail "still not: $*"; sleep 1; done; }
health() { test "$(docker inspect --format '{{.State.Health.Status}}' "$one")" = "$1"; }

say 'built'
# shellcheck disable=SC2086
docker build --quiet ${BUILD_OPTIONS:-} --build-arg BASE="$base" --file deploy/Dockerfile --tag "$image" .
docker run --rm "$image" aiba --version
docker run --rm "$image" sh -c 'test "$(id -u)" = 10001 && ! command -v pip gcc cc make git'  || fail 'who it is, and what it has'
docker run --rm "$image" sh -c '! touch /usr/local/lib/aiba/x /etc/x /x' 2> /dev/null || fail 'it can write to the program'

say 'the secrets, as files of a group'
for name in secrets data backups; do docker volume create "$one-$name" > /dev/null; done
docker run --rm --user 0 --volume "$one-secrets:/secrets" "$image" sh -euc '
    aiba keys generate --all --small --out /secrets
    echo "a password of the rehearsal" | aiba admin hash-password > /secrets/admin-password-hash
    echo "734512:REHEARSED-token_0123456789abcdefgh" > /secrets/telegram-bot-token
    chown 0:10001 /secrets/* && chmod 0440 /secrets/*' > /dev/null
settings='--env APP_ENV=prod --env AIBA_STORE=sqlite --env CORS_ORIGIN=https://game.example --env TELEGRAM_INITDATA_MAX_AGE_SECONDS=900
    --env ADMIN_EMAIL=ops@game.example'
for name in telegram-bot-token session-secret battle-seed-secret admin-jwt-secret admin-password-hash metrics-token; do
    settings="$settings --env $(echo "$name" | tr a-z- A-Z_)_FILE=/secrets/$name"
done
guarded="--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true --memory 512m --volume $one-secrets:/secrets:ro
    --volume $one-data:/data --volume $one-backups:/backups"
# shellcheck disable=SC2086
start() { docker run --detach --name "$one" $guarded $settings "$image" > /dev/null; }
play() { docker run --rm --interactive --network "container:$one" --volume "$one-secrets:/secrets:ro" "$image" python - http://127.0.0.1:5000 /secrets "$@" < deploy/rehearse/play.py; }

say 'refused where its environment will not do'
code=0
refused=$(mktemp)
# shellcheck disable=SC2086
docker run --rm $guarded $settings --env CORS_ORIGIN='*' "$image" > "$refused" 2>&1 || code=$?
test "$code" = 78 || fail "it ended with $code, not 78"
grep -q cors_origin_shape "$refused" || fail "it does not say why: $(cat "$refused")"
rm "$refused"

say 'healthy by its own check, and playing'
start
until_so health healthy
docker exec "$one" python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:5000/ready")' || fail 'ready'
play battle || fail 'a battle'
test -z "$(docker diff "$one" | grep -v '^. /\(tmp\|data\|backups\|secrets\)')" || fail "it wrote to its root: $(docker diff "$one")"
docker exec "$one" aiba doctor --live || fail 'doctor'
docker exec "$one" sh -c 'aiba backup /backups/one && aiba drill --backup /backups/one' || fail 'backup and drill'
docker inspect "$one" | grep -q REHEARSED && fail 'a secret in what docker inspect shows'

say 'stopped, it answers what it has accepted, and ends with 0'
play drain true & playing=$!
sleep 4
docker stop --time 45 "$one" > /dev/null
wait "$playing" || fail 'a request was lost'
test "$(docker inspect --format '{{.State.ExitCode}}' "$one")" = 0 || fail 'its exit code'

say 'started again on its volume, all is there'
docker rm "$one" > /dev/null
start
until_so health healthy
docker exec "$one" aiba audit || fail 'audit'

say 'killed, and restored from its backup'
docker kill "$one" > /dev/null && docker rm "$one" > /dev/null
# shellcheck disable=SC2086
docker run --rm --name "$one-files" $guarded $settings "$image" aiba restore /backups/one --replace || fail 'restore'
start
until_so health healthy
play battle || fail 'a battle afterwards'
docker stop --time 45 "$one" > /dev/null
say 'all of it is so'
