#!/bin/sh
# Runs the manifests' pods one after another as a kubelet would, in Docker: their settings, secrets, rights and volumes as they stand there.
#
# From the top of the source: MONGO_URI=... REDIS_URL=... deploy/rehearse/pods.sh IMAGE NETWORK, where NETWORK is a Docker network on which both are
# reached. The chain isn't: the signer says so, and withdrawals wait.
set -eu
image=$1
network=$2
pods=aiba-pods-$$
export PODS=$pods
work=$(mktemp -d)

say() { echo "# $*"; }
fail() { echo "NOT SO: $*"; for each in api signer; do docker logs "$pods-$each" 2>&1 | tail -30; done; exit 1; }
end() {
    docker ps --all --quiet --filter "name=$pods" | xargs --no-run-if-empty docker rm --force --volumes > /dev/null 2>&1 || true
    docker volume ls --quiet --filter "name=$pods" | xargs --no-run-if-empty docker volume rm > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT
until_so() { n=0; until "$@" > /dev/null 2>&1; do n=$((n + 1)); test "$n" -lt 120 || fail "still not: $*"; sleep 1; done; }
root() { docker run --rm --interactive --user 0 --entrypoint sh "$@"; }
# Runs a pod: pod WORKLOAD OPTIONS... -- COMMAND...
pod() {
    docker run --rm --env PODS --volume "$PWD/deploy:/deploy:ro" "$image" python /deploy/rehearse/pods.py /deploy/kubernetes "$1" > "$work/options" \
        || fail "the pod of $1"
    shift
    while test "$1" != --; do echo "$1" >> "$work/options"; shift; done
    shift
    tr '\n' '\0' < "$work/options" > "$work/given"
    { cat "$work/given"; printf '%s\0' "$image" "$@"; } | xargs -0 docker run --network "$network"
}

say 'the secrets, by the commands of the page'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=aiba-signer -addext subjectAltName=DNS:aiba-signer \
    -keyout "$work/tls.key" -out "$work/tls.crt" 2> /dev/null
root --volume "$pods-aiba-secrets:/api" --volume "$pods-aiba-signer-secrets:/signer" --volume "$pods-aiba-signer-policy:/policy" \
    --volume "$work:/made:ro" --volume "$PWD/deploy:/deploy:ro" --env MONGO_URI --env REDIS_URL "$image" -euc '
    aiba keys generate --all --small --out /api
    echo "a password of the rehearsal" | aiba admin hash-password > /api/admin-password-hash
    echo "734512:REHEARSED-token_0123456789abcdefgh" > /api/telegram-bot-token
    printf "%s\n" "$MONGO_URI" > /api/mongo-uri
    printf "%s\n" "$REDIS_URL" > /api/redis-url
    echo "provider-key-4c1e8f0a-rehearsed" | tee /api/ton-api-key > /signer/ton-api-key
    aiba signer new-key /signer/oracle-key
    aiba signer new-token api /api/oracle-signer-token > /signer/tokens
    cp /made/tls.crt /made/tls.key /signer/ && cp /made/tls.crt /api/signer-ca.pem
    python -c "
import yaml
for each in yaml.safe_load_all(open(\"/deploy/kubernetes/settings.yaml\")):
    if each[\"metadata\"][\"name\"] == \"aiba-signer-policy\":
        open(\"/policy/policy.toml\", \"w\").write(each[\"data\"][\"policy.toml\"])"
    chown 0:10001 /api/* /signer/* && chmod 0440 /api/* /signer/* && chmod 0444 /policy/*' > /dev/null
for volume in store-aiba-signer-0 log-aiba-signer-0 aiba-backups; do
    root --volume "$pods-$volume:/volume" "$image" -c 'chgrp 10001 /volume && chmod 2770 /volume'
done

say 'the schema, by its job'
pod aiba-migrate --rm -- migrate || fail 'migrate'

say 'the API: ready, and without a warning'
pod aiba-api --detach --name="$pods-api" --network-alias=aiba-api -- serve > /dev/null
until_so docker exec "$pods-api" python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:5000/ready", timeout=4)'
docker logs "$pods-api" 2>&1 | grep '"event":"readiness"' && fail 'warnings'
docker exec --interactive "$pods-api" python - http://127.0.0.1:5000 /run/secrets/aiba battle < deploy/rehearse/play.py || fail 'a battle'
test -z "$(docker diff "$pods-api" | grep -v '^. /run')" || fail "it wrote to its root: $(docker diff "$pods-api")"

say 'the signer: made once, and reached by TLS'
pod aiba-signer-init --rm -- signer init --network mainnet --new-key > /dev/null || fail 'signer-init'
pod aiba-signer --detach --name="$pods-signer" --network-alias=aiba-signer -- signer serve > /dev/null
until_so docker exec "$pods-api" python -c 'import ssl, urllib.request as u
u.urlopen("https://aiba-signer:8090/health", timeout=4, context=ssl.create_default_context(cafile="/run/secrets/aiba/signer-ca.pem"))'
docker exec "$pods-api" aiba doctor --live --json > "$work/doctor" || true
grep -q live_signer_not_ready "$work/doctor" || fail "what the API hears of it: $(cat "$work/doctor")"
grep -q live_signer_unreachable "$work/doctor" && fail 'the API does not reach it'

say 'a backup by its CronJob, and a drill of it'
pod aiba-backup --rm -- -c 'exec aiba backup "/backups/$(date -u +%Y-%m-%dT%H%M%SZ)"' || fail 'backup'
pod aiba-backup --rm -- -c 'aiba drill --backup "$(ls -d /backups/* | tail -1)"' || fail 'drill'

say 'ended in the time that a pod has'
for each in api signer; do
    docker stop --time 45 "$pods-$each" > /dev/null
    test "$(docker inspect --format '{{.State.ExitCode}}' "$pods-$each")" = 0 || fail "$each ended with another code than 0"
done
say 'all of it is so'
