#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: style and static analysis of the whole tree. `make lint` calls it, with the flags each part is
# compiled with in LINT_FLAGS_KERNEL, _NATIVE, _PROGRAMS and _UNIT. A function lint_X is one
# check: silent and true when all is well, else it prints what is wrong.
set -eu

cd "$(dirname "$0")/.."

# The longest function allowed, and from where on one is worth a look.
function_lines_max=120
function_lines_long=60

# --- What there is to check -------------------------------------------------------------------

# In a clone: what git tracks or would track, so that no stray output is judged.
list_files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard
    else
        find . -path ./build -prune -o -type f -printf '%P\n'
    fi | sort -u | while read -r file; do
        # A file may be deleted but not yet committed so.
        if [ -f "$file" ]; then
            echo "$file"
        fi
    done
}

files_like() {
    printf '%s\n' "${files[@]}" | grep -E "$1" || true
}

# --- The checks -------------------------------------------------------------------------------

lint_format() {
    local wrong=0 file
    for file in "${c_files[@]}" "${headers[@]}"; do
        if ! clang-format --dry-run -Werror "$file" >/dev/null 2>&1; then
            echo "$file: not laid out as make format does it"
            wrong=1
        fi
    done
    # Of a heading that was too long make format has made two lines.
    ! grep -n -E '^// -+$' /dev/null "${c_files[@]}" "${headers[@]}" || wrong=1
    return $wrong
}

lwip_headers="-iquote netipc/lwip -isystem build/lwip/source/src/include"

# The flags a C file is compiled with, by its folder.
flags_of() {
    case $1 in
    kernel/*) echo "${LINT_FLAGS_KERNEL:--iquote kernel -Iinclude -ffreestanding}" ;;
    include/*) echo "-Iinclude -DDEFINITIONS=<corvus/services.def>" ;;
    tests/wire/* | tests/bench/* | deploy/*) echo "-std=gnu11 -D_GNU_SOURCE -iquote . -Iinclude" ;;
    tests/linux/* | tests/cluster/* | tests/dsm/*)
        echo "-std=gnu11 -D_GNU_SOURCE -iquote lib/linux/replace -iquote . -Iinclude -Ibuild/include"
        ;;
    lib/linux/*) echo "${LINT_FLAGS_PROGRAMS:--D_GNU_SOURCE -Iinclude}" ;;
    tests/unit/test_transport*.c) echo "${LINT_FLAGS_UNIT:--iquote . -Iinclude} $lwip_headers" ;;
    tests/unit/* | tests/sim/* | tests/netipc/*) echo "${LINT_FLAGS_UNIT:--iquote . -iquote kernel -Iinclude}" ;;
    linuxserver/migration/*) echo "${LINT_FLAGS_UNIT:--iquote . -Iinclude}" ;;
    linuxserver/programs/*) echo "${LINT_FLAGS_PROGRAMS:--D_GNU_SOURCE -Iinclude}" ;;
    netipc/*) echo "${LINT_FLAGS_NATIVE:--I. -Iinclude} $lwip_headers" ;;
    *) echo "${LINT_FLAGS_NATIVE:--I. -Iinclude}" ;;
    esac
}

# Where sums of what passed are kept: outside the clone, so that the next clone analyses nothing twice.
passed_folder() {
    local folder=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/corvus/lint
    mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || folder=build/lint/passed
    mkdir -p "$folder"
    find "$folder" -type f -mtime +30 -delete
    echo "$folder"
}

# Prints what clang-tidy found in one file. A file that passed is kept, under a sum of all that its
# result depends on (its text with all that it includes, comments too), for the analysis is slow.
# -Werror is the compiler's business, and clang-tidy does not know all of gcc's warnings.
tidy_file() {
    local file=$1 passed=$2 flags sum log
    flags="$(flags_of "$file") -Wno-error -Wno-unknown-warning-option -Wno-unused-command-line-argument"
    # shellcheck disable=SC2086 # flags are words
    sum=$({ echo "$tidy_version $flags" && cat .clang-tidy "$file" && clang -E -CC $flags "$file"; } 2>/dev/null |
        sha256sum | cut -d ' ' -f 1)
    if [ -e "$passed/$sum" ]; then
        return
    fi
    log=build/lint/$sum.log
    # shellcheck disable=SC2086
    if clang-tidy --quiet "$file" -- $flags >"$log" 2>/dev/null; then
        : >"$passed/$sum"
    else
        cat "$log"
        echo "$file: clang-tidy is not content"
    fi
    rm -f "$log"
}

lint_tidy() {
    local found file passed tidy_version
    mkdir -p build/lint
    passed=$(passed_folder)
    tidy_version=$(clang-tidy --version)
    found=$(for file in "${c_files[@]}"; do
        # Compiled in musl's own tree, or Linux's, with their private headers and by their rules.
        case $file in
        lib/musl/* | linuxserver/backend/* | linuxserver/drivers/*) continue ;;
        # The host compiles these, too.
        linuxserver/migration/commit.* | linuxserver/migration/package.[ch] | linuxserver/migration/package_check.* | \
            linuxserver/migration/calls.* | linuxserver/migration/marshal*) ;;
        linuxserver/migration/*) continue ;;
        # They do on purpose what no program should.
        tests/linux/programs/*) continue ;;
        esac
        while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
            wait -n || true
        done
        tidy_file "$file" "$passed" &
    done
    wait)
    printf '%s' "$found"
    [ -z "$found" ]
}

# Unused functions are the linker's business: cppcheck does not see assembly or all configurations.
lint_cppcheck() {
    local sound
    # Those left out do on purpose what no program should.
    mapfile -t sound < <(printf '%s\n' "${c_files[@]}" | grep -v '^tests/linux/programs/' || true)
    [ ${#sound[@]} -gt 0 ] || return 0
    mkdir -p build/lint/cppcheck
    cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --std=c11 --platform=unix64 -D__x86_64__ -D__GNUC__=12 -Iinclude -Ikernel \
        --suppress=missingInclude --suppress=missingIncludeSystem \
        --cppcheck-build-dir=build/lint/cppcheck -j "$(nproc)" "${sound[@]}" 2>&1
}

lint_shellcheck() {
    shellcheck --format=gcc "${scripts[@]}"
}

lint_spdx() {
    local wrong=0 file licence
    for file in "${files[@]}"; do
        licence=BSD-2-Clause
        case $file in
        LICENSES/*.txt) continue ;;
        linuxserver/*) licence=GPL-2.0-only ;;
        esac
        if ! head -n 4 "$file" | grep -q "SPDX-License-Identifier: $licence"; then
            echo "$file: no line 'SPDX-License-Identifier: $licence' at its head"
            wrong=1
        fi
    done
    return $wrong
}

# Functions begin with "{" and end with "}" in the first column: .clang-format sees to that.
function_lengths() {
    [ ${#c_files[@]} -gt 0 ] || return 0
    awk '
    FNR == 1 { start = 0 }
    /^[a-zA-Z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^\{/ { start = FNR }
    /^\}/ && start { print FNR - start - 1, FILENAME ":" start, name; start = 0 }' "${c_files[@]}"
}

lint_function_length() {
    function_lengths | awk -v max="$function_lines_max" -v long="$function_lines_long" '
    $1 > max { print $2 ": " $3 " has " $1 " lines, " max " are allowed"; wrong = 1 }
    $1 > long && $1 <= max { print "note: " $2 ": " $3 " has " $1 " lines" }
    END { exit wrong }'
}

# What is conditional belongs in headers or in a folder for an architecture: one file, one program.
lint_conditionals() {
    local portable
    mapfile -t portable < <(printf '%s\n' "${c_files[@]}" | grep -v -E '(^|/)x86/' || true)
    [ ${#portable[@]} -gt 0 ] || return 0
    ! grep -n -E '^[[:space:]]*#[[:space:]]*if' /dev/null "${portable[@]}"
}

# READMEs name the files that there are, docs/ARCHITECTURE.md functions that there are.
lint_readmes() {
    tests/readmes.py
}

# A path of one engineer's machine works on no other. Brackets keep this file from finding itself.
lint_machine_paths() {
    local pattern='(^|[^[:alnum:]_.])/([h]ome|[r]oot|[U]sers|[w]ork)/'
    ! grep -n -I -E "$pattern" /dev/null "${files[@]}"
}

# Packages and mirrors are the machine's own choice.
lint_host_names() {
    ! grep -n -i -E '(https?|ftp)[:]//' /dev/null "${scripts[@]}" "${makefiles[@]}"
}

lint_white_space() {
    ! grep -n -I -E '[[:space:]]+$' /dev/null "${files[@]}"
}

# --- Running them -----------------------------------------------------------------------------

checks=(format tidy cppcheck shellcheck spdx function_length conditionals readmes machine_paths host_names
    white_space)

mapfile -t files < <(list_files)
mapfile -t c_files < <(files_like '\.c$')
mapfile -t headers < <(files_like '\.h$')
mapfile -t scripts < <(files_like '(\.sh|^\.ci/run)$')
mapfile -t makefiles < <(files_like '(^|/)(Makefile|[^/]*\.mk)$')

failed=0
number=0
echo "1..${#checks[@]}"
for check in "${checks[@]}"; do
    number=$((number + 1))
    result=ok
    # Not in the condition's shell: a check ends at its first failing command like any other.
    output=$("lint_$check" 2>&1) || result="not ok"
    echo "$result $number - ${check//_/ }"
    if [ -n "$output" ]; then
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
    if [ "$result" != ok ]; then
        failed=$((failed + 1))
    fi
done
[ "$failed" -eq 0 ]
