#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sed, awk, grep, bc, diff, make and the compressors.
export LC_ALL=C

seq 1 5000 | sed 's/\(.*\)/line \1 of the file/' >text

echo "== grep"
grep -c '7 of' text
grep -n -m 2 -E '^line (42|4711) ' text
grep -o '[0-9]*' text | tail -n 1
grep -r -l 'line 99 ' .
grep -v -w -e 1 text | head -n 1
grep -P '(?<=line )12(?=3)' text | head -n 2

echo "== sed"
sed -n '/line 10 /,/line 12 /p' text
sed -e '3!d' -e 's/line/LINE/' text
sed -i.old '2,4999d' text && cat text
sed 'N;s/\n/ + /' text
echo abc | sed 'y/abc/xyz/;h;G'

echo "== awk"
seq 100 | awk '{ sum += $1; square += $1 ^ 2 } END { printf "%d %d %.6f\n", sum, square, sqrt(square / NR) }'
awk 'BEGIN { for (i = 1; i <= 3; i++) a["k" i] = i * i; for (k in a) print k, a[k] }' | sort
awk 'BEGIN { "echo from a command" | getline line; print line; print "b\na" | "sort"; close("sort") }'
awk 'BEGIN { srand(1); print substr("hello world", 7), toupper("x"), length("four"), index("abc", "c") }'
awk -F: 'NR == 1 { print $1, $NF }' <<<"root:x:0:0::/root:/bin/bash"

echo "== bc"
echo 'scale = 60; 4 * a(1)' | bc -l
echo '2 ^ 300' | bc
echo 'define f(n) { if (n < 2) return 1; return n * f(n - 1); } f(30)' | bc

echo "== make"
cat >Makefile <<'END'
all: one two three
	@echo "all of $^"
one two: common
	@sleep 0.1; cat $< >$@; echo "$@ from $<" >>$@
three: one two
	@cat $^ >$@
common:
	@echo shared >$@
fail:
	@false
END
make -s -j 4
cat three
make -s
make -s fail 2>&1 | sed 's/\[[^]]*\]/[]/'
make -n -B one | head -n 2

echo "== compressors"
seq 1 60000 >data
for tool in gzip bzip2 xz zstd; do
    $tool -c data >data.$tool && $tool -dc data.$tool | cmp - data && echo "$tool $(wc -c <data.$tool)"
done
gzip -1 -n -c data | sha256sum
bzip2 -c data | sha256sum
xz -T 2 -c data | xz -dc | sha256sum
gzip -t text 2>&1 | sed 's/^gzip: //' | head -n 2

echo "== tar"
mkdir -p folder/sub && cp data folder/sub && ln -s sub folder/link && echo x >folder/file
tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner --format=ustar -cf archive.tar folder
sha256sum archive.tar
tar -tvf archive.tar | awk '{ print $1, $3, $6, $7, $8 }'
mkdir out && tar -xf archive.tar -C out && diff -r folder out/folder && echo identical
tar -czf - folder | tar -xzOf - folder/file
