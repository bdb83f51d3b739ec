# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# In the initramfs that measures the start of the system: what the login shell on the console does
# just before it shows its first prompt.
measured() {
    mark
    {
        while read -r name value _; do
            case $name in
            MemTotal:) echo "bench: memory_total $value $value KiB 1" ;;
            MemFree:) echo "bench: memory_free $value $value KiB 1" ;;
            MemAvailable:) echo "bench: memory_available $value $value KiB 1" ;;
            esac
        done </proc/meminfo
        echo "bench: end 0"
    } >/dev/console
    poweroff -f
}
PROMPT_COMMAND=measured
