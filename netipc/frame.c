// SPDX-License-Identifier: BSD-2-Clause
// Pieces of frames.
#include "netipc/frame.h"

#include <string.h>

size_t frame_copy(const struct frame_piece *pieces, unsigned count, size_t offset, void *to,
                  size_t room)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < room; i++) {
        if (offset >= pieces[i].bytes) {
            offset -= pieces[i].bytes;
            continue;
        }
        size_t part = pieces[i].bytes - offset;
        if (part > room - done)
            part = room - done;
        memcpy((uint8_t *)to + done, (const uint8_t *)pieces[i].data + offset, part);
        done += part;
        offset = 0;
    }
    return done;
}
