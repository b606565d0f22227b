# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# For tests in bash: the lines that tests/run counts, and the sandbox around the test.

failed=0
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# in_sandbox IMAGES "$@" - runs the calling script again in a sandbox, unless it is in one.
in_sandbox() {
        local images=$1
        shift
        [ -n "${BERTH_SANDBOX-}" ] || exec "$top/tests/sandbox" --images "$images" -- "$(realpath "$0")" "$@"
}

ok() {
        echo "ok - $1"
}

not_ok() {
        echo "not ok - $1"
        failed=$((failed + 1))
        [ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/#   /'
}

# check TEXT COMMAND... - the command must succeed.
check() {
        local text=$1 output
        shift
        if output=$("$@" 2>&1); then ok "$text"; else not_ok "$text" "status $?: $output"; fi
}

# ends STATUS TEXT COMMAND... - the command must end with that status.
ends() {
        local wanted=$1 text=$2 output status=0
        shift 2
        output=$("$@" 2>&1) || status=$?
        if [ "$status" = "$wanted" ]; then ok "$text"; else not_ok "$text" "status $status, not $wanted: $output"; fi
}

# equal TEXT GOT WANTED
equal() {
        if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got    '$2'"$'\n'"wanted '$3'"; fi
}

# matches TEXT GOT PATTERN - an extended regular expression.
matches() {
        if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got '$2', which does not match '$3'"; fi
}

# until_true SECONDS COMMAND... - tries again until it succeeds.
until_true() {
        local end=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ "$SECONDS" -lt "$end" ] || return 1
                sleep 0.05
        done
}

# as USER COMMAND... - as one of the sandbox's people.
as() {
        local user=$1
        shift
        setpriv --reuid "$user" --regid "$user" --init-groups -- env HOME="/run/sandbox/home/$user" USER="$user" "$@"
}

done_testing() {
        [ "$failed" = 0 ]
}
