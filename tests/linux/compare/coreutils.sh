#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Coreutils and findutils, one line of output and more for nearly each command.
# The tools themselves are what is tested, old-fashioned or not.
# shellcheck disable=SC2003,SC2012,SC2016,SC2018,SC2019,SC2050,SC2154
export LC_ALL=C TZ=UTC
umask 022

# Data that is the same everywhere.
seq 1 2000 | awk '{ print $1 * 7919 % 1000, "word" $1 % 17, $1 }' >table

echo "== sorting and selecting"
sort table | head -n 3
sort -n -k1,1 -k3,3r table | tail -n 3
sort -u -k2,2 table | wc -l
cut -d ' ' -f 2 table | sort | uniq -c | sort -rn | head -n 4
sort --parallel=2 -S 1M table | sha256sum
shuf --random-source=table table | md5sum
comm -12 <(seq 1 2 20 | sort) <(seq 1 3 20 | sort) | tr '\n' ' '
echo
join <(printf '1 a\n2 b\n3 c\n') <(printf '1 x\n3 z\n')
paste -d, <(seq 3) <(seq 4 6) | tac
tsort <<<"a b b c a c"

echo "== text"
head -c 20 table
tail -c 20 table
tr a-z A-Z <<<"upper" | rev
fold -w 10 <<<"a line that is longer than ten"
fmt -w 20 <<<"a paragraph of words that are filled into lines of twenty"
nl -ba <(printf 'a\n\nb\n')
printf 'a\tb\n' | expand -t 4 | od -c
wc table
od -A d -t x1z -N 32 table
base64 <<<"some bytes" | tee copy | base64 -d
numfmt --to=iec 123456789
pr -h header -l 12 -3 <(seq 6) | sed 's/^[0-9-]* [0-9:]* *//' | head -n 8
expr 6 \* 7
factor 1234567890123456789
printf '%08.3f|%-5s|%x|%q\n' 3.14159 ab 255 "a b"

echo "== sums"
md5sum table
sha1sum table
sha256sum table
sha512sum table | cut -c 1-32
b2sum table | cut -c 1-32
cksum table
sum table

echo "== files"
mkdir -p tree/a/b tree/c
for i in 1 2 3; do
    head -n $((i * 10)) table >tree/a/file$i
    touch -d "2020-01-0$i 12:00" tree/a/file$i
done
cp -a tree/a tree/c/copied
ln tree/a/file1 tree/a/b/hard
ln -s ../a/file2 tree/c/soft
mkfifo tree/c/fifo
chmod 640 tree/a/file3
mv tree/a/file2 tree/a/renamed
install -m 755 table tree/c/installed
truncate -s 100000 tree/sparse
dd if=table of=tree/part bs=100 skip=3 count=7 2>&1 | head -n 2
stat -c '%n %s %a %h %F' tree/a/[!b]* tree/c/[!c]*
# The sizes of folders are the file system's.
stat -c '%n %a %h %F' tree/a/b tree/c/copied
ls -lR --time-style=+%Y tree | sed '/^total/d' | awk '{ print $1, $2, $5, $7 }' |
    grep -v '^[dl]'
find tree -type f -newer tree/a/file1 | sort
find tree -name 'file*' -print0 | sort -z | xargs -0 -n 1 basename
readlink tree/c/soft
realpath --relative-to=. tree/c/copied/../installed
du --apparent-size -b tree/part tree/sparse
cmp tree/a/file1 tree/a/file3
diff <(seq 5) <(seq 2 6)
split -l 600 table part.
wc -l part.*
csplit -s table /word3/ '{3}' && md5sum xx0*
cat part.a? | cmp - table && echo same
rm -r tree/c && ls tree

echo "== processes and the rest"
seq 20 | xargs -P 4 -n 1 sh -c 'echo $(($0 * $0))' | sort -n | tail -n 2
timeout 0.2 sleep 10
echo "timeout says $?"
timeout -s KILL 0.2 sleep 10
echo "timeout says $?"
# By how much: whoever started this may be nice already.
expr "$(nice -n 5 nice)" - "$(nice)"
env -i A=1 B=2 env | sort
date -u -d '2024-02-29 12:34:56 + 1 year' +%FT%T
date -u -d @1700000000
yes | head -n 100000 | wc -l
test 3 -lt 10 && [ abc \< abd ] && echo ordered
id -un
uname -sm
nohup true 2>&1 | grep -v ignoring
mktemp -u XXXX | wc -c
sleep 0.1 && sync && echo slept
tty
printenv NOTHING || echo "not set"
