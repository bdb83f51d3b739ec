#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tar and gzip over 100 MB (ARCHIVE_MEGABYTES), with checksums on the way.
export LC_ALL=C
size=${ARCHIVE_MEGABYTES:-100}

mkdir folder
# Files that compress well, badly and not at all.
seq 1 100000000 | head -c $((size * 1000000 / 2)) >folder/numbers
python3 - $((size * 1000000 / 4)) >folder/noise <<'END'
import random, sys
generator = random.Random(1)
left = int(sys.argv[1])
while left > 0:
    part = generator.randbytes(min(left, 1 << 20))
    sys.stdout.buffer.write(part)
    left -= len(part)
END
yes "a line that is repeated" | head -c $((size * 1000000 / 4)) >folder/lines
(cd folder && sha256sum ./*) >sums
cat sums
tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -cf - folder | gzip -1 -n >archive.tar.gz
sha256sum archive.tar.gz
gzip -t archive.tar.gz && echo "gzip is content"
rm -r folder
gzip -dc archive.tar.gz | tar -xf -
(cd folder && sha256sum --quiet -c ../sums) && echo "all came back"
rm -r folder archive.tar.gz
