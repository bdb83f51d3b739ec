#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: sessions of the network server on a native task. Prints as comments what they cost, in
# instructions (`make -s bench-secure` prints nothing else). Fails, too, when a large segment that is
# not encrypted costs more than Poly1305 of OpenSSL does.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
seal_clear_16k_max=50000

status=0
tests/kernel/run.sh --image secure --timeout 300 || status=$?
rows=$(tr -d '\r' <"$build/tests/kernel/secure.log" | sed -n 's/^\[kernel-secure\] bench //p')
printf '%s\n' "$rows" | sed 's/^/# /'
measured=$(sed -n 's/^seal_clear_16k \([0-9]*\) .*/\1/p' <<<"$rows")
if [ "${measured:-$seal_clear_16k_max}" -ge "$seal_clear_16k_max" ]; then
    echo "# sealing 16 KiB in the clear: '$measured' instructions, fewer than $seal_clear_16k_max expected"
    status=1
fi
exit "$status"
