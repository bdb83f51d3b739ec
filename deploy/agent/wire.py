# SPDX-License-Identifier: BSD-2-Clause
"""The frames that the agent of a node and the host exchange.

The format is described in linuxserver/programs/agent/protocol.h. Between a client and the server,
which share a socket that neither breaks off in mid-frame, the same frames go without mark, escapes
and session number.
"""

import enum
import struct

VERSION = 1

MARK = b"\xf9"
ESCAPE = b"\xfb"
# Escaped forms: the byte with one bit turned, behind an escape.
ESCAPED_MARK = ESCAPE + b"\xd9"
ESCAPED_ESCAPE = ESCAPE + b"\xdb"

HEADER = struct.Struct("<BBHII")
HELLO = struct.Struct("<IIQQ")
OPEN = struct.Struct("<HHHHHH")
CLIENT_HEADER = struct.Struct("<BBHI")
EXIT = struct.Struct("<II")

PAYLOAD_MAX = 65536
PIECE_BYTES = 16384
WINDOW = 131072
SESSIONS_MAX = 256
STRINGS_MAX = 4096 - 2

OPEN_PTY = 1
OPEN_SELF = 2

STDIN, STDOUT, STDERR = range(3)
EXITED, SIGNALED, REFUSED = range(3)


class Type(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    OPEN = 2
    DATA = 3
    END = 4
    STOP = 5
    CREDIT = 6
    SIGNAL = 7
    RESIZE = 8
    CLOSE = 9
    EXIT = 10
    QUERY = 11
    REPORT = 12


class WireError(Exception):
    """The other end sent what cannot be."""


def escape(data):
    """Bytes as they stand in a frame on the channel."""
    return data.replace(ESCAPE, ESCAPED_ESCAPE).replace(MARK, ESCAPED_MARK)


def channel_frame(kind, session=0, stream=STDIN, payload=b""):
    """One frame as it goes on the channel."""
    return MARK + escape(HEADER.pack(kind, stream, 0, session, len(payload)) + payload)


def client_frame(kind, stream=STDIN, payload=b""):
    """One frame between a client and the server."""
    return CLIENT_HEADER.pack(kind, stream, 0, len(payload)) + payload


def open_payload(flags, arguments, environment, folder="", size=(0, 0)):
    """The payload of OPEN; WireError when it does not fit."""
    strings = [*arguments, *(f"{key}={value}" for key, value in environment.items()), folder]
    payload = OPEN.pack(flags, *size, len(arguments), len(environment), 0)
    payload += b"".join(map(lambda text: text.encode(errors="surrogateescape") + b"\0", strings))
    if len(payload) > PAYLOAD_MAX or len(strings) > STRINGS_MAX:
        raise WireError("the command is too long: 64 KiB and 4,000 words at most; use stdin or cp")
    return payload


class ChannelParser:
    """Finds frames in the bytes of the channel; feed() yields (type, stream, session, payload)."""

    def __init__(self):
        self.inside = False
        self.raw = []
        self.have = 0
        self.need = 0
        self.bad_frames = 0
        self.skipped = 0

    def _begin(self):
        if self.inside:
            self.bad_frames += 1
        self.inside = True
        self.raw = []
        self.have = 0
        self.need = HEADER.size

    def _reject(self):
        self.inside = False
        self.bad_frames += 1

    def _continue(self, piece):
        if not self.inside:
            self.skipped += len(piece)
            return None
        self.raw.append(piece)
        self.have += len(piece)
        # Looked at only when the frame may be complete: escapes are few.
        return self._decode(b"".join(self.raw)) if self.have >= self.need else None

    def _decode(self, raw):
        self.raw = [raw]
        text = raw
        if ESCAPE in raw:
            if raw.endswith(ESCAPE):
                text = raw[:-1]
            pairs = text.count(ESCAPED_MARK) + text.count(ESCAPED_ESCAPE)
            if pairs != text.count(ESCAPE):
                self._reject()
                return None
            text = text.replace(ESCAPED_MARK, MARK).replace(ESCAPED_ESCAPE, ESCAPE)
        if len(text) < HEADER.size:
            self.need = len(raw) + HEADER.size - len(text)
            return None
        kind, stream, zero, session, length = HEADER.unpack_from(text)
        if kind not in Type._value2member_map_ or stream > STDERR or zero or length > PAYLOAD_MAX:
            self._reject()
            return None
        total = HEADER.size + length
        if len(text) < total:
            self.need = len(raw) + total - len(text)
            return None
        self.inside = False
        self.skipped += len(text) - total
        return kind, stream, session, text[HEADER.size : total]

    def feed(self, data):
        """Takes bytes, yields the frames that are complete with them."""
        first = True
        for piece in data.split(MARK):
            if not first:
                self._begin()
            first = False
            frame = self._continue(piece) if piece else None
            if frame is not None:
                yield frame


class ClientParser:
    """Finds frames in the bytes of a client's socket; feed() yields (type, stream, payload)."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        """Takes bytes, yields the frames that are complete with them."""
        data = self.rest + data
        start = 0
        while len(data) - start >= CLIENT_HEADER.size:
            kind, stream, zero, length = CLIENT_HEADER.unpack_from(data, start)
            if kind not in Type._value2member_map_ or stream > STDERR or zero:
                raise WireError("no such frame")
            if length > PAYLOAD_MAX:
                raise WireError("a frame that is too long")
            end = start + CLIENT_HEADER.size + length
            if len(data) < end:
                break
            yield kind, stream, data[start + CLIENT_HEADER.size : end]
            start = end
        self.rest = data[start:]
