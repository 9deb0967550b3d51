#!/bin/sh
# Prints what is typed in a step of a page: steps.sh PAGE NAME. A step is the first console block after `<!-- step: NAME -->`.
set -eu
awk -v want="<!-- step: $2 -->" '
    { sub(/^ +/, "") }
    $0 == want { wanted = 1; next }
    wanted && /^```console/ { typed = 1; next }
    typed && /^```/ { exit }
    typed && sub(/^\$ /, "") { print; found = 1 }
    END { exit !found }
' "$1"
