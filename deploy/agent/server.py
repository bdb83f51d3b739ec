# SPDX-License-Identifier: BSD-2-Clause
"""The one process a node that owns the channel to its agent, and shares it among many clients.

It knows sessions only by number: what a stream may send is settled by credits between the client
and the agent, so what is kept here for a slow client is bounded by their windows, and a client that
sends faster than the channel takes is simply not read.
"""

import collections
import os
import secrets
import select
import socket
import sys
import time

import wire
from wire import Type

# How often an agent that has not answered yet is called.
HELLO_SECONDS = 0.25
# Clients are not read while more than this waits for the channel.
BACKLOG_BYTES = 262144
# What may wait for a client: its two windows and what goes with them. More is the agent's mistake.
CLIENT_BYTES = 4 * wire.WINDOW
READ_BYTES = 65536

FROM_CLIENTS = {Type.DATA, Type.END, Type.STOP, Type.CREDIT, Type.SIGNAL, Type.RESIZE}
TO_CLIENTS = {Type.DATA, Type.END, Type.STOP, Type.CREDIT, Type.EXIT, Type.REPORT}


def say(text):
    """A line for the log, with the time since the server's start."""
    print(f"agent server: {time.monotonic() - START:.2f} s: {text}", file=sys.stderr, flush=True)


START = time.monotonic()


class Output:
    """Bytes on their way into a socket that does not block."""

    def __init__(self, connection):
        self.connection = connection
        self.pieces = collections.deque()
        self.size = 0

    def add(self, data):
        """Adds bytes at the end."""
        self.pieces.append(data)
        self.size += len(data)

    def flush(self):
        """Sends what the socket takes."""
        while self.pieces:
            try:
                sent = self.connection.send(self.pieces[0])
            except BlockingIOError:
                return
            self.size -= sent
            if sent == len(self.pieces[0]):
                self.pieces.popleft()
            else:
                self.pieces[0] = self.pieces[0][sent:]

    def clear(self):
        """Forgets all."""
        self.pieces.clear()
        self.size = 0


class Client:
    """One connection; it becomes a session with its first frame, OPEN."""

    def __init__(self, connection):
        self.connection = connection
        self.parser = wire.ClientParser()
        self.output = Output(connection)
        self.waiting = collections.deque()  # frames read before they could be forwarded
        self.session = None
        self.ended = False  # nothing more comes from the agent
        self.events = 0  # what its socket is watched for


class Server:
    """The loop, and the state it works on."""

    def __init__(self, channel, socket_path):
        self.epoll = select.epoll()
        self.channel = channel
        self.channel_events = 0
        self.output = Output(channel)
        self.parser = wire.ChannelParser()
        self.socket_path = socket_path
        self.listener = None
        self.clients = {}  # by the number of their socket
        self.sessions = {}
        self.next_session = 1
        self.agent_epoch = 0  # 0: it does not answer
        self.epoch = 0
        self.next_hello = 0.0
        self.epoll.register(channel, 0)
        self.begin_epoch()

    # --- The agent ------------------------------------------------------------

    def begin_epoch(self):
        """Calls the agent anew. All sessions of before are over."""
        self.agent_epoch = 0
        self.epoch = secrets.randbits(63) + 1
        self.next_hello = 0.0

    def say_hello(self):
        """Calls the agent, if it is time to."""
        now = time.monotonic()
        # A channel that takes nothing gets no more of them.
        if self.agent_epoch or now < self.next_hello or self.output.size > wire.PIECE_BYTES:
            return
        hello = wire.HELLO.pack(wire.VERSION, wire.WINDOW, self.epoch, 0)
        self.output.add(wire.channel_frame(Type.HELLO, payload=hello))
        self.next_hello = now + HELLO_SECONDS

    def take_hello(self, payload):
        """The agent answers, or says that it has been started."""
        if len(payload) != wire.HELLO.size:
            return
        version, _, epoch, echo = wire.HELLO.unpack(payload)
        if version != wire.VERSION:
            sys.exit(f"agent server: the agent speaks version {version}, not {wire.VERSION}")
        if self.agent_epoch:
            if epoch != self.agent_epoch or echo != self.epoch:
                say("the agent was started again")
                self.end_sessions("the agent of the node was started again")
                self.begin_epoch()
        elif echo == self.epoch:
            say("the agent answers")
            self.agent_epoch = epoch
            if self.listener is None:
                self.listen()
            self.forward_waiting()

    def take_channel(self):
        """Reads frames from the agent."""
        try:
            data = self.channel.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        for kind, stream, session, payload in self.parser.feed(data):
            if kind == Type.HELLO:
                self.take_hello(payload)
            elif self.agent_epoch and kind in TO_CLIENTS and session in self.sessions:
                self.to_client(self.sessions[session], kind, stream, payload)

    def to_client(self, client, kind, stream, payload):
        """Hands a frame to the client whose session it belongs to."""
        if kind == Type.REPORT:
            bad, skipped = self.parser.bad_frames, self.parser.skipped
            payload += f"host_bad_frames {bad}\nhost_skipped_bytes {skipped}\n".encode()
        client.output.add(wire.client_frame(kind, stream, payload))
        if kind in (Type.EXIT, Type.REPORT):
            self.end_session(client)
        elif client.output.size > CLIENT_BYTES:
            say(f"session {client.session}: the agent sends beyond its credit")
            self.output.add(wire.channel_frame(Type.CLOSE, client.session))
            self.fail_client(client, "the agent sent beyond its credit")

    def end_session(self, client):
        """The agent has said the last of a session; a slot is free for another."""
        del self.sessions[client.session]
        client.ended = True
        self.forward_waiting()

    def fail_client(self, client, why):
        """Ends a client's session from here."""
        payload = wire.EXIT.pack(wire.REFUSED, 0) + why.encode()
        client.output.add(wire.client_frame(Type.EXIT, payload=payload))
        self.end_session(client)

    def end_sessions(self, why):
        """Ends all sessions from here."""
        self.agent_epoch = 0  # so that none that waits takes the place
        for client in list(self.sessions.values()):
            self.fail_client(client, why)

    # --- Clients --------------------------------------------------------------

    def listen(self):
        """Lets clients in. That the socket is there tells that the agent has answered."""
        self.listener = socket.socket(socket.AF_UNIX)
        temporary = self.socket_path + ".new"
        if os.path.exists(temporary):
            os.unlink(temporary)
        self.listener.bind(temporary)
        self.listener.listen(128)
        self.listener.setblocking(False)
        os.rename(temporary, self.socket_path)
        self.epoll.register(self.listener, select.EPOLLIN)

    def accept(self):
        """Lets a client in."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        client = Client(connection)
        self.clients[connection.fileno()] = client
        self.epoll.register(connection, 0)

    def drop_client(self, client):
        """The client has gone, or is of no use any more."""
        if client.session in self.sessions and not client.ended:
            self.output.add(wire.channel_frame(Type.CLOSE, client.session))
            del self.sessions[client.session]
        client.ended = True
        del self.clients[client.connection.fileno()]
        self.epoll.unregister(client.connection)
        client.connection.close()
        self.forward_waiting()

    def take_client(self, client):
        """Reads frames from a client."""
        try:
            data = client.connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError
        client.waiting.extend(client.parser.feed(data))
        self.forward(client)

    def forward(self, client):
        """Forwards what a client has sent; OPEN waits until there is an agent and a slot."""
        while client.waiting and not client.ended:
            kind, stream, payload = client.waiting[0]
            if client.session is None:
                if not self.agent_epoch or len(self.sessions) >= wire.SESSIONS_MAX:
                    return
                if kind not in (Type.OPEN, Type.QUERY):
                    raise wire.WireError("a session begins with OPEN")
                client.session = self.next_session
                self.next_session = self.next_session % 0xFFFFFFFF + 1
                self.sessions[client.session] = client
            elif kind not in FROM_CLIENTS:
                raise wire.WireError("a frame that is not a client's to send")
            client.waiting.popleft()
            self.output.add(wire.channel_frame(kind, client.session, stream, payload))

    def forward_waiting(self):
        """Forwards what had to wait."""
        for client in list(self.clients.values()):
            if client.session is None:
                try:
                    self.forward(client)
                except wire.WireError:
                    self.drop_client(client)

    # --- The loop -------------------------------------------------------------

    def set_events(self):
        """Decides what to wait for."""
        events = select.EPOLLIN | (select.EPOLLOUT if self.output.size else 0)
        if events != self.channel_events:
            self.channel_events = events
            self.epoll.modify(self.channel, events)
        for client in self.clients.values():
            # One that waits for its turn has said enough.
            wanted = client.session is not None or not client.waiting
            listening = wanted and self.output.size <= BACKLOG_BYTES
            events = select.EPOLLIN if listening else 0
            events |= select.EPOLLOUT if client.output.size else 0
            if events != client.events:
                client.events = events
                self.epoll.modify(client.connection, events)

    def serve_client(self, client, events):
        """What a client's socket is ready for."""
        try:
            if events & select.EPOLLHUP:
                raise ConnectionError
            if events & select.EPOLLIN and self.output.size <= BACKLOG_BYTES:
                self.take_client(client)
            client.output.flush()
            if client.ended and not client.output.size:
                self.drop_client(client)
        except OSError:
            self.drop_client(client)
        except wire.WireError as error:
            say(f"a client was dropped: {error}")
            self.drop_client(client)

    def run(self):
        """Serves until the channel ends."""
        channel = self.channel.fileno()
        while True:
            self.say_hello()
            try:
                self.output.flush()
            except OSError:
                raise EOFError from None
            self.set_events()
            for file, events in self.epoll.poll(None if self.agent_epoch else HELLO_SECONDS):
                if file in self.clients:
                    self.serve_client(self.clients[file], events)
                elif file != channel:
                    self.accept()
                elif events & (select.EPOLLIN | select.EPOLLHUP):
                    self.take_channel()


def connect(path, seconds):
    """Connects to the channel, which the machine may still have to make."""
    end = time.monotonic() + seconds
    while True:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(path)
            channel.setblocking(False)
            return channel
        except (FileNotFoundError, ConnectionRefusedError) as error:
            channel.close()
            if time.monotonic() > end:
                sys.exit(f"agent server: {path}: {error.strerror}")
            time.sleep(0.05)


def serve(channel_path, socket_path, seconds=60):
    """Serves a node until its machine ends."""
    server = Server(connect(channel_path, seconds), socket_path)
    try:
        server.run()
    except EOFError:
        say("the machine has ended")
    finally:
        if server.listener is not None:
            os.unlink(socket_path)
