# SPDX-License-Identifier: BSD-2-Clause
"""A client: one session with a process in a node, its three streams joined to files here."""

import errno
import os
import select
import signal
import socket
import stat
import struct
import sys
import termios
import tty

import wire
from wire import Type

# The status when there was no process to give one.
STATUS_REFUSED = 125
READ_BYTES = 65536
# A pipe that poll calls writable takes so much without blocking.
WRITE_BYTES = 4096
# Credit is given in pieces, so that it costs few frames.
CREDIT_PIECE = wire.WINDOW // 4
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class ClientError(Exception):
    """The node's side cannot be reached, or broke off."""


def connect(path):
    """A connection to the server of a node."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        raise ClientError(f"the agent is not reachable: {error.strerror}") from None
    return connection


class Output:
    """A stream of the process, and the file here that it goes to."""

    def __init__(self, file):
        self.file = file
        self.data = b""
        self.owed = 0  # bytes written for which no credit was given yet
        self.ended = False
        self.stopped = False
        try:
            self.step = READ_BYTES if stat.S_ISREG(os.fstat(file).st_mode) else WRITE_BYTES
        except OSError as error:
            raise ClientError(f"standard file {file}: {error.strerror}") from None

    def write(self):
        """Writes what the file takes now."""
        written = os.write(self.file, self.data[: self.step])
        self.data = self.data[written:]
        self.owed += written


class Session:
    """A process in the node. run() serves it to its end and returns its status."""

    def __init__(self, connection, payload, files=(0, 1, 2)):
        self.connection = connection
        self.parser = wire.ClientParser()
        self.outgoing = wire.client_frame(Type.OPEN, payload=payload)
        self.stdin = files[0]  # None: ended
        self.stdin_credit = wire.WINDOW
        self.outputs = {wire.STDOUT: Output(files[1]), wire.STDERR: Output(files[2])}
        self.exit = None
        self.on_signal = {}
        self.signals = 0

    # --- Towards the process ----------------------------------------------------

    def send(self, kind, stream=wire.STDIN, payload=b""):
        """Queues a frame."""
        self.outgoing += wire.client_frame(kind, stream, payload)

    def send_outgoing(self):
        """Sends what the socket takes."""
        try:
            sent = self.connection.send(self.outgoing, socket.MSG_DONTWAIT)
            self.outgoing = self.outgoing[sent:]
        except BlockingIOError:
            pass
        except ConnectionError:
            # The process has ended meanwhile; that is still to be read.
            self.outgoing = b""

    def read_stdin(self):
        """Reads a piece of standard input; the end of it is said once."""
        try:
            data = os.read(self.stdin, min(wire.PIECE_BYTES, self.stdin_credit))
        except BlockingIOError:
            return
        except OSError as error:
            # A terminal that hung up, or no file at all: nothing more comes from there.
            if error.errno not in (errno.EIO, errno.EBADF):
                raise
            data = b""
        if data:
            self.stdin_credit -= len(data)
            self.send(Type.DATA, payload=data)
        else:
            self.send(Type.END)
            self.stdin = None

    def signal_process(self, number):
        """Passes a signal on. The second one ends this client, whatever the process does."""
        self.signals += 1
        if self.signals > 1:
            sys.exit(128 + number)
        self.send(Type.SIGNAL, payload=struct.pack("<I", number))

    # --- From the process -------------------------------------------------------

    def take_frames(self):
        """Reads frames."""
        data = self.connection.recv(READ_BYTES)
        if not data:
            raise ClientError("the agent's server has ended")
        for kind, stream, payload in self.parser.feed(data):
            if kind == Type.DATA and stream in self.outputs:
                output = self.outputs[stream]
                if output.stopped:
                    output.owed += len(payload)
                else:
                    output.data += payload
            elif kind == Type.END and stream in self.outputs:
                self.outputs[stream].ended = True
            elif kind == Type.STOP:
                self.stdin = None
            elif kind == Type.CREDIT:
                self.stdin_credit += struct.unpack("<I", payload)[0]
            elif kind == Type.EXIT:
                self.exit = (*wire.EXIT.unpack_from(payload), payload[wire.EXIT.size :])
                self.stdin = None
            else:
                raise wire.WireError(f"unexpected frame {kind}")

    def write_output(self, stream):
        """Writes a piece of a stream, and gives credit for what has been written."""
        output = self.outputs[stream]
        try:
            output.write()
        except BlockingIOError:
            return
        except OSError as error:
            # As for a process that writes into a pipe: without a reader it is to end.
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise ClientError(f"standard output: {error.strerror}") from None
            output.data = b""
            output.stopped = True
            if not output.ended and self.exit is None:
                self.send(Type.STOP, stream)

    def give_credit(self):
        """Tells the process that it may write on."""
        for stream, output in self.outputs.items():
            if output.owed >= CREDIT_PIECE and not output.ended and self.exit is None:
                self.send(Type.CREDIT, stream, struct.pack("<I", output.owed))
                output.owed = 0

    # --- The loop ---------------------------------------------------------------

    def poll(self, wakeup):
        """Waits; returns what is ready as pairs of file and events."""
        poller = select.poll()
        if self.exit is None:
            poller.register(
                self.connection, select.POLLIN | (select.POLLOUT if self.outgoing else 0)
            )
        if self.stdin is not None and self.stdin_credit and len(self.outgoing) < READ_BYTES:
            poller.register(self.stdin, select.POLLIN)
        for output in self.outputs.values():
            if output.data:
                poller.register(output.file, select.POLLOUT)
        if wakeup is not None:
            poller.register(wakeup, select.POLLIN)
        return poller.poll()

    def serve(self, file, wakeup):
        """Does what one file is ready for."""
        if file == wakeup:
            for number in os.read(wakeup, 64):
                self.on_signal.get(number, self.signal_process)(number)
        elif file == self.stdin:
            self.read_stdin()
        else:
            for stream, output in self.outputs.items():
                if output.file == file and output.data:
                    self.write_output(stream)

    def run(self, wakeup=None):
        """Serves the session; returns its status as a shell gives it, or STATUS_REFUSED."""
        while self.exit is None or any(output.data for output in self.outputs.values()):
            for file, events in self.poll(wakeup):
                if file != self.connection.fileno():
                    self.serve(file, wakeup)
                    continue
                if events & select.POLLOUT and self.outgoing:
                    self.send_outgoing()
                if events & (select.POLLIN | select.POLLHUP):
                    self.take_frames()
            self.give_credit()
        end, value, text = self.exit
        if end == wire.REFUSED:
            raise ClientError(text.decode(errors="replace"))
        return value if end == wire.EXITED else 128 + value


# --- exec ----------------------------------------------------------------------------------------


def window_size():
    """The terminal's rows and columns, or what terminals have had for fifty years."""
    for file in (0, 1, 2):
        try:
            size = os.get_terminal_size(file)
        except OSError:
            continue
        if size.lines and size.columns:
            return (size.lines, size.columns)
    return (24, 80)


def watch_signals(numbers):
    """A file that becomes readable, with the number as a byte, when one of the signals comes."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        # What a shell has told a background job to ignore stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)
    return reader


def execute(path, arguments, environment, folder="", terminal=False):
    """Runs a command in the node, with this process's standard files; returns its status."""
    environment = dict(environment)
    if terminal:
        environment.setdefault("TERM", os.environ.get("TERM", "linux"))
    flags = wire.OPEN_PTY if terminal else 0
    size = window_size() if terminal else (0, 0)
    payload = wire.open_payload(flags, arguments, environment, folder, size)
    session = Session(connect(path), payload)
    if not terminal:
        return session.run(watch_signals(FORWARDED))

    def resize(_):
        session.send(Type.RESIZE, payload=struct.pack("<HH", *window_size()))

    session.on_signal[signal.SIGWINCH] = resize
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    try:
        if saved is not None:
            tty.setraw(0)
        return session.run(watch_signals((*FORWARDED, signal.SIGWINCH)))
    finally:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def query(path):
    """The agent's counters, as text."""
    connection = connect(path)
    connection.sendall(wire.client_frame(Type.QUERY))
    parser = wire.ClientParser()
    while True:
        data = connection.recv(READ_BYTES)
        if not data:
            raise ClientError("the agent's server has ended")
        for kind, _, payload in parser.feed(data):
            if kind == Type.EXIT:
                raise ClientError(payload[wire.EXIT.size :].decode(errors="replace"))
            return payload.decode()
