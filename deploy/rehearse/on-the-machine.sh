#!/bin/sh
# The part of machine.sh that runs on the machine, with systemd as process 1. Ends at the first thing that isn't as the page says.
set -eu
export LC_ALL=C.UTF-8
base=http://127.0.0.1:5000
kept=$(mktemp -d)
ip link set lo up 2> /dev/null || true

say() { echo "# $*"; }
fail() { echo "NOT SO: $*"; systemctl status --no-pager --full aiba aiba-signer || true; journalctl --no-pager -n 60 -u aiba -u aiba-signer -u aiba-backup || true; exit 1; }
# Types a step of the page; what a person would type into it comes by `typed`.
step() {
    say "step: $1"
    sh deploy/rehearse/steps.sh docs/deploy.md "$1" > $kept/step
    sed -i -e 's#^aiba admin hash-password#echo "a password of the rehearsal" | aiba admin hash-password#' \
        -e 's#^cat > telegram-bot-token#echo "734512:REHEARSED-token_0123456789abcdefgh" > telegram-bot-token#' \
        -e 's#^cat > \(.*/ton-api-key\)#echo "provider-key-4c1e8f0a-rehearsed" > \1#' $kept/step
    sh -eu $kept/step || fail "step $1"
}
is() { test "$(systemctl show --property "$2" --value "$1")" = "$3" || fail "$1 has $2=$(systemctl show --property "$2" --value "$1"), not $3"; }
until_so() { n=0; until "$@"; do n=$((n + 1)); test "$n" -lt 900 || fail "still not: $*"; sleep 0.1; done; }
shows() { test "$(systemctl show --property "$2" --value "$1")" = "$3"; }
play() { /usr/local/lib/aiba/bin/python deploy/rehearse/play.py "$base" /etc/aiba/secrets "$@" || fail "play $*"; }

battles() {
    runuser -u aiba -- python3 -c 'import sqlite3
print(sqlite3.connect("file:/var/lib/aiba/aiba.db?mode=ro", uri=True).execute("SELECT COUNT(*) FROM battles").fetchone())'
}

step install
step place
step secrets
step doctor
step start
is aiba Type notify
is aiba ActiveState active
is aiba-backup.timer ActiveState active
play battle

say 'secrets: each is shown to the service alone, none is in its environment, and nobody else reads the folder'
pid=$(systemctl show --property MainPID --value aiba)
for file in /etc/aiba/secrets/*; do
    ! tr '\0' '\n' < "/proc/$pid/environ" | grep -qF "$(cat "$file")" || fail "$file in the environment"
    ! systemctl show aiba | grep -qF "$(cat "$file")" || fail "$file in systemctl show"
done
! runuser -u aiba -- ls /etc/aiba/secrets 2> /dev/null || fail 'the folder of secrets is open'
test "$(stat -c %u "/proc/$pid")" = "$(id -u aiba)" || fail 'the service runs as somebody else'
grep -q '^NoNewPrivs:.1' "/proc/$pid/status" || fail 'new privileges'
grep -q '^Seccomp:.2' "/proc/$pid/status" || fail 'no filter of calls'
grep -qE '^CapBnd:\s0+$' "/proc/$pid/status" || fail 'capabilities'
systemd-analyze security --no-pager --threshold=20 aiba | tail -1 || fail 'exposed'

say 'killed, it is started anew'
kill -9 "$pid"
until_so shows aiba NRestarts 1
until_so curl --fail --silent --output /dev/null "$base/ready"

say 'standing still, it is ended by the watchdog and started anew'
mkdir -p /run/systemd/system/aiba.service.d
printf '[Service]\nWatchdogSec=3\n' > /run/systemd/system/aiba.service.d/impatient.conf
systemctl daemon-reload && systemctl restart aiba
kill -STOP "$(systemctl show --property MainPID --value aiba)"
until_so shows aiba NRestarts 1
until_so curl --fail --silent --output /dev/null "$base/ready"
journalctl --no-pager -u aiba | grep -q 'Watchdog timeout' || fail 'it was not the watchdog'
rm -r /run/systemd/system/aiba.service.d
systemctl daemon-reload && systemctl restart aiba

say 'stopped, it answers what it has accepted, takes nothing new, and ends with 0'
play drain systemctl stop aiba --no-block
until_so shows aiba ActiveState inactive
is aiba ExecMainStatus 0
is aiba Result success

say 'a refused environment: 78, told in the log, and not tried again'
cp /etc/aiba/aiba.env $kept/aiba.env
sed -i 's/^CORS_ORIGIN=.*/CORS_ORIGIN=*/' /etc/aiba/aiba.env
! systemctl start aiba 2> /dev/null || fail 'it was started'
sleep 3
is aiba ActiveState failed
is aiba ExecMainStatus 78
is aiba NRestarts 0
journalctl --no-pager -u aiba | grep -q 'cors_origin_shape' || fail 'the finding is not in the log'
code=0; aiba-in aiba doctor > $kept/doctor.txt || code=$?
test "$code" = 78 && grep -q cors_origin_shape $kept/doctor.txt || fail "aiba doctor said $code"
cp $kept/aiba.env /etc/aiba/aiba.env
systemctl start aiba || fail 'with its environment again'

say 'secrets are changed: what is older is believed until the end, and nothing after it'
change() { aiba keys rotate "$@" --dir /etc/aiba/secrets --drop-in /etc/systemd/system/aiba.service.d/rotation.conf --unchecked > $kept/change || fail "change $*: $(cat $kept/change)"; }
# Whatever is loaded is there at every moment: a death in between is no end of the service.
rolled() { systemctl kill --signal=KILL aiba; until_so curl --fail --silent --output /dev/null "$base/ready"; systemctl restart aiba || fail "a start after $*"; play kept; }
play keep
for name in BATTLE_SEED_SECRET SESSION_SECRET; do
    for turn in '' --use --back --use; do
        change "$name" $turn
        rolled "$name" $turn
        play battle
    done
    test "$name" = SESSION_SECRET || aiba-in aiba seed rotate > /dev/null || fail 'the turn of the epoch'
    before=$(cat /etc/systemd/system/aiba.service.d/rotation.conf)
    change "$name" --finish
    test -e /etc/systemd/system/aiba.service.d/rotation.conf && fail 'a drop-in without a purpose'
    systemctl restart aiba || fail "a start without what was before $name"
    printf '%s\n' "$before" | grep -q "^LoadCredential=.*-previous:" || fail 'the one before was never loaded'
done
play gone
aiba-in aiba keys status > $kept/secrets
! grep -qE ' overlap|can.t be read| d ' $kept/secrets || fail "the secrets: $(cat $kept/secrets)"

say 'a backup beside the running service, and a drill'
systemctl start aiba-backup.service || fail 'a backup'
step drill
test "$(stat -c %U:%a "$(ls -d /var/backups/aiba/* | tail -1)")" = aiba:700 || fail 'who owns the backup'

say 'an upgrade with a step of the schema'
battles > $kept/before
(cd /source/0.2.0 && step beside) | tee $kept/beside
grep -q 'CREATE TABLE rehearsals\|rehearsals' $kept/beside || fail 'the plan does not show the step'
(cd /source/0.2.0 && step switch)
/usr/local/lib/aiba/bin/aiba --version | grep -q 0.2.0 || fail 'which version is it'
step audit
play battle
battles > $kept/after
cmp -s $kept/before $kept/after && fail 'nothing was played'

say 'the old build refuses the new schema and names it'
ln -sfn aiba-0.1.0 /usr/local/lib/aiba
! systemctl restart aiba 2> /dev/null || fail 'the old build was started on the new schema'
journalctl --no-pager -u aiba | grep -q 'knows up to' || fail 'it does not say why'

say 'back again, to the moment of the backup'
step restore
battles > $kept/back
cmp -s $kept/before $kept/back || fail 'what is back is not what was backed up'
step audit
play battle

say 'and back where no step was taken'
step back
play battle
say 'the signer, apart, and the API that calls it'
step signer
sed -i -e 's/^#ARENA_VAULT_ADDRESS=.*/ARENA_VAULT_ADDRESS=0:1111111111111111111111111111111111111111111111111111111111111111/' \
    -e 's/^#AIBA_JETTON_MASTER=.*/AIBA_JETTON_MASTER=0:2222222222222222222222222222222222222222222222222222222222222222/' \
    -e 's/^#TON_/TON_/' /etc/aiba/aiba.env
step drop-ins
is aiba-signer ActiveState active
is aiba ActiveState active
test "$(stat -c %U:%G:%a /run/aiba-signer/signer.sock)" = aiba-signer:aiba-signer:660 || fail "the socket is $(stat -c %U:%G:%a /run/aiba-signer/signer.sock)"
pid=$(systemctl show --property MainPID --value aiba-signer)
! runuser -u aiba -- cat /etc/aiba/signer-secrets/oracle-key /var/lib/aiba-signer/protection.db /etc/aiba/signer-tokens 2> /dev/null || fail 'the API reads what is the signer'\''s'
runuser -u aiba -G aiba-signer -- curl --fail --silent --unix-socket /run/aiba-signer/signer.sock http://signer/health > /dev/null || fail 'the socket is closed to the API'
! runuser -u nobody -- curl --fail --silent --unix-socket /run/aiba-signer/signer.sock http://signer/health > /dev/null || fail 'the socket is open to all'
systemd-analyze security --no-pager --threshold=20 aiba-signer | tail -1 || fail 'exposed'
code=0; aiba-in aiba doctor --live --json > $kept/doctor.json || code=$?
# There is no chain here: the signer is reached and says so, and the API's token is good.
grep -q live_signer_not_ready $kept/doctor.json && ! grep -q live_signer_unreachable $kept/doctor.json || fail "the signer by doctor: $(cat $kept/doctor.json)"
aiba-in aiba-signer signer status > /dev/null || fail 'signer status'
say "the key of the signer's log, too"
aiba keys generate ORACLE_SIGNER_AUDIT_KEY_HEX --small --out /etc/aiba/signer-secrets > /dev/null
mkdir -p /etc/systemd/system/aiba-signer.service.d
printf '[Service]\nLoadCredential=%s:/etc/aiba/signer-secrets/%s\nEnvironment=%s=%%d/%s\n' oracle-signer-audit-key-hex oracle-signer-audit-key-hex \
    ORACLE_SIGNER_AUDIT_KEY_HEX_FILE oracle-signer-audit-key-hex > /etc/systemd/system/aiba-signer.service.d/log-key.conf
systemctl daemon-reload && systemctl restart aiba-signer
key() { aiba-in aiba-signer signer status | sed -n 's/.*"logKey": "\(.*\)".*/\1/p'; }
first=$(key)
change_key() { (set -a; . /etc/aiba/signer.env; aiba keys rotate ORACLE_SIGNER_AUDIT_KEY_HEX "$@" --dir /etc/aiba/signer-secrets --drop-in /etc/systemd/system/aiba-signer.service.d/rotation.conf); }
change_key > $kept/change || fail 'the change of the key'
! change_key --finish > /dev/null 2>&1 || fail 'the key went that had to hand over'
systemctl restart aiba-signer
second=$(key)
grep -q "its public part: $second" $kept/change || fail "the log is signed by $second"
change_key --finish > /dev/null || fail 'the key before did not go'
systemctl restart aiba-signer
for known in "$first" "$second"; do
    aiba signer audit verify /var/log/aiba-signer/audit.log --key "$known" | grep -q "signs it: $second" || fail "the log as $known sees it"
done

cp /etc/aiba/signer-policy.toml $kept/policy
echo 'version = 2' > /etc/aiba/signer-policy.toml
! systemctl restart aiba-signer 2> /dev/null || fail 'the signer was started'
sleep 3
is aiba-signer ExecMainStatus 78
is aiba-signer NRestarts 0
cp $kept/policy /etc/aiba/signer-policy.toml
systemctl start aiba-signer
curl --fail --silent --output /dev/null "$base/ready" || fail 'the API without its signer'

say 'all of it is so'
