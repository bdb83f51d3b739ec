#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Python with threads, subprocesses, sockets, asynchronous tasks and its standard library."""

import asyncio
import collections
import concurrent.futures
import ctypes
import decimal
import hashlib
import json
import math
import mmap
import multiprocessing
import os
import pickle
import queue
import random
import re
import select
import selectors
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib


def threads():
    """A queue between producers and consumers, and a counter under a lock."""
    work, done = queue.Queue(maxsize=10), []
    lock = threading.Lock()

    def consume():
        while (item := work.get()) is not None:
            with lock:
                done.append(item * item)

    consumers = [threading.Thread(target=consume) for _ in range(4)]
    for thread in consumers:
        thread.start()
    for number in range(2000):
        work.put(number)
    for _ in consumers:
        work.put(None)
    for thread in consumers:
        thread.join()
    print("threads", len(done), sum(done))

    barrier, event = threading.Barrier(8), threading.Event()
    passed = []

    def meet(number):
        barrier.wait()
        event.wait()
        passed.append(number)

    meeting = [threading.Thread(target=meet, args=(i,)) for i in range(8)]
    for thread in meeting:
        thread.start()
    event.set()
    for thread in meeting:
        thread.join()
    print("met", sorted(passed))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        print("pool", sum(pool.map(lambda n: n**3 % 17, range(500))))
    local = threading.local()
    local.value = 1
    thread = threading.Thread(target=lambda: setattr(local, "value", 2))
    thread.start()
    thread.join()
    print("local", local.value)


def cube(number):
    """For other processes."""
    return number**3


def processes():
    """subprocess and multiprocessing."""
    text = "".join(f"{i}\n" for i in range(50000))
    result = subprocess.run(["sort", "-rn"], input=text, capture_output=True, text=True, check=True)
    print("sort", result.stdout[:12].split(), len(result.stdout))
    first = subprocess.Popen(["seq", "100000"], stdout=subprocess.PIPE)
    second = subprocess.Popen(
        ["grep", "-c", "7"], stdin=first.stdout, stdout=subprocess.PIPE, text=True
    )
    first.stdout.close()
    print("pipeline", second.communicate()[0].strip(), first.wait(), second.returncode)
    try:
        subprocess.run(["sleep", "100"], timeout=0.3, check=False)
    except subprocess.TimeoutExpired:
        print("time-out")
    sleeper = subprocess.Popen(["sleep", "100"])
    sleeper.send_signal(signal.SIGTERM)
    print("terminated", sleeper.wait())
    print("shell", subprocess.call("exit 7", shell=True))
    try:
        subprocess.run(["/nonexistent"], check=True)
    except FileNotFoundError as error:
        print("not found", error.errno)
    many = [subprocess.Popen(["sh", "-c", f"exit {i}"]) for i in range(30)]
    print("many", sum(process.wait() for process in many))
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            print(method, sum(pool.map(cube, range(100))))
    counter = multiprocessing.Value("i", 0)

    def count():
        for _ in range(500):
            with counter.get_lock():
                counter.value += 1

    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=count) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("shared", counter.value)


def signals():
    """Handlers, alarms, and signals to oneself."""
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
    print("signals", seen)
    signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.5)
    print("alarm", seen[-1])
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def echo_server(listener):
    """Serves one client until it closes."""
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data[::-1])


def sockets():
    """TCP, UDP and Unix sockets; poll, epoll and selectors."""
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_INET6, ("::1", 0)),
        (socket.AF_UNIX, "socket"),
    ):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen()
        thread = threading.Thread(target=echo_server, args=(listener,))
        thread.start()
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect(listener.getsockname())
        client.sendall(b"forwards")
        print(family.name, client.recv(100).decode())
        client.close()
        thread.join()
        listener.close()
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"x" * 5000, receiver.getsockname())
    print("udp", len(receiver.recv(65536)))
    left, right = socket.socketpair()
    poll = select.epoll()
    poll.register(right.fileno(), select.EPOLLIN)
    print("epoll", poll.poll(0))
    left.send(b"x")
    print("epoll", [event for _, event in poll.poll(5)])
    with selectors.DefaultSelector() as selector:
        selector.register(right, selectors.EVENT_READ, "right")
        print("selector", [key.data for key, _ in selector.select(5)])
    read_end, write_end = os.pipe()
    socket.send_fds(left, [b"fd"], [write_end])
    _, descriptors, _, _ = socket.recv_fds(right, 10, 1)
    os.write(descriptors[0], b"through")
    print("descriptor", os.read(read_end, 100).decode())


async def tasks():
    """Many tasks, a subprocess, a server and its clients."""

    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def ask(port, text):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text.encode() + b"\n")
        line = await reader.readline()
        writer.close()
        return line.decode().strip()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers = await asyncio.gather(*(ask(port, f"client {i}") for i in range(40)))
    print("tasks", answers[0], answers[-1], len(set(answers)))
    server.close()
    process = await asyncio.create_subprocess_exec(
        "tr", "a-z", "A-Z", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    print("process", (await process.communicate(b"lower"))[0].decode())
    begin = time.monotonic()
    await asyncio.gather(*(asyncio.sleep(0.2) for _ in range(100)))
    print("slept together", time.monotonic() - begin < 5)


def library():
    """What is computed must be the same everywhere."""
    generator = random.Random(42)
    data = bytes(generator.randrange(256) for _ in range(100000))
    print("sha", hashlib.sha256(data).hexdigest()[:16], hashlib.blake2b(data).hexdigest()[:16])
    print("crc", zlib.crc32(data), len(zlib.compress(data)), zlib.adler32(data))
    decimal.getcontext().prec = 50
    print("decimal", decimal.Decimal(2).sqrt())
    print("float", math.sin(1e6), math.exp(1.5), 0.1 + 0.2, math.fsum([0.1] * 10))
    print("integer", pow(3, 1000, 10**40), math.factorial(50) % 10**30, math.isqrt(10**50))
    print("json", json.dumps({"a": [1, 2.5, None, True], "b": "\u00fc"}, sort_keys=True))
    print("pickle", pickle.loads(pickle.dumps(collections.OrderedDict(a=1, b=(2, 3)))))
    print("regular", re.sub(r"(\w+) (\w+)", r"\2 \1", "first second"))
    print("struct", struct.pack("<IhQ", 1, -2, 3).hex())
    with tempfile.TemporaryFile() as file:
        file.truncate(8192)
        with mmap.mmap(file.fileno(), 8192) as view:
            view[4096:4100] = b"here"
            file.seek(4096)
            print("mmap", file.read(4))
    library_c = ctypes.CDLL(None)
    print("ctypes", library_c.strlen(b"eight by"), library_c.abs(-5))
    base = sqlite3.connect("base")
    base.execute("create table t (n integer, s text)")
    base.executemany("insert into t values (?, ?)", ((i, str(i * i)) for i in range(1000)))
    base.commit()
    print("sqlite", base.execute("select sum(n), max(s), count(*) from t where n % 3 = 0").fetchone())
    sys.setrecursionlimit(5000)

    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    print("recursion", depth(4000))


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    threads()
    processes()
    signals()
    sockets()
    asyncio.run(tasks())
    library()
