#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: that each error that services.def documents of a kernel service is met by a test, and that
# services give no others. The tests are the kernel's, run once more with the kernel's trace of
# refused services, and the first task's. Both print "# service-error SERVICE ERROR", two numbers,
# for what they have seen. The fuzzer does not count: what it meets is chance.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
folder=$build/tests/kernel
number=0
failed=0

# One test: its text, and the command that tells. What a command prints is for who reads a failure.
check() {
    local text=$1 result=ok said
    shift
    number=$((number + 1))
    said=$("$@" 2>&1) || result="not ok"
    echo "$result $number - $text"
    if [ "$result" != ok ]; then
        failed=$((failed + 1))
        printf '%s\n' "$said" | sed 's/^/# /'
    fi
}

# "NAME NUMBER" of each error.
error_numbers() {
    sed -n 's/^ *E(\([A-Z_]*\), \([0-9]*\),.*/\1 \2/p' include/corvus/error.h
}

# "SERVICE ID ERROR" of each documented error.
documented() {
    local line service id
    while IFS= read -r line; do
        if [[ $line =~ ^SERVICE\(([a-z_]+),\ (0x[0-9a-f]+), ]]; then
            service=${BASH_REMATCH[1]}
            id=$((BASH_REMATCH[2]))
        elif [[ $line =~ ^\ *ERROR\(([A-Z_]+)\) ]]; then
            echo "$service $id ${BASH_REMATCH[1]}"
        fi
    done <include/corvus/services.def
}

# So that no line of the description is taken for something else.
all_read() {
    [ "$(documented | wc -l)" -eq "$(sed 's@//.*@@' include/corvus/services.def | grep -c 'ERROR(')" ]
}

was_seen() {
    grep -q -x "$1" <<<"$seen" || {
        echo "no test of tests/kernel meets it (service-error $1)"
        return 1
    }
}

# What any service may answer, as the head of services.def says.
is_common() {
    case $1 in
    INVALID_NAME | INVALID_RIGHT | UNKNOWN_SERVICE | INVALID_ARGUMENT | TERMINATED) ;;
    *) return 1 ;;
    esac
}

only_documented() {
    local id value unknown=0
    while read -r id value; do
        if ! is_common "${names[$value]}" && [ -z "${pairs[$id $value]:-}" ]; then
            printf 'service 0x%x: %s\n' "$id" "${names[$value]}"
            unknown=1
        fi
    done <<<"$seen"
    return "$unknown"
}

check "the kernel's tests without the fast path" tests/kernel/run.sh --image errors
check "the first task's tests" tests/kernel/first.sh
seen=$(cat "$folder/errors.log" "$folder/first.log" | tr -d '\r' |
    sed -n 's/^\(\[kernel-tests\] \)\{0,1\}# service-error //p')

declare -A numbers names pairs
while read -r error value; do
    numbers[$error]=$value
    names[$value]=$error
done <<<"$(error_numbers)"
while read -r service id error; do
    pair="$id ${numbers[$error]}"
    pairs[$pair]=1
    check "$service: $error" was_seen "$pair"
done <<<"$(documented)"
check "services.def was read to its end" all_read
check "no service gives an error that is not documented" only_documented

echo "1..$number"
[ "$failed" -eq 0 ]
