# SPDX-License-Identifier: BSD-2-Clause
"""Copies files and folders into and out of a node: an archive through a session's streams.

At the node's end the agent itself packs and unpacks (linuxserver/programs/agent/copy_*.c); here
Python's tarfile does. What comes from a node is unpacked below its destination and nowhere else,
whatever names and links the archive holds.
"""

import os
import sys
import tarfile
import threading

import wire
from client import FORWARDED, ClientError, Session, connect, watch_signals

BLOCK_BYTES = 65536


class Worker(threading.Thread):
    """Packs or unpacks at the other end of a pipe while the main thread serves the session."""

    def __init__(self, work, file, mode, wanted):
        super().__init__(daemon=True)
        self.work = work
        self.file = os.fdopen(file, mode, buffering=BLOCK_BYTES)
        self.wanted = wanted
        self.failed = False

    def complain(self, text):
        """One line for what could not be copied."""
        print(f"cp: {text}", file=sys.stderr)
        self.failed = True

    def run(self):
        try:
            self.work(self)
        except BrokenPipeError:
            self.failed = True  # the node's end has said why
        except tarfile.TarError as error:
            self.complain(f"the copy broke off: {error}")
        except OSError as error:
            self.complain(f"{error.filename or 'archive'}: {error.strerror or error}")
        finally:
            try:
                self.file.close()
            except BrokenPipeError:
                self.failed = True


def run_session(path, arguments, work, inwards, wanted):
    """Runs the agent with an archive on its stdin (inwards) or stdout; the status of both."""
    payload = wire.open_payload(wire.OPEN_SELF, ["agent", *arguments], {})
    reader, writer = os.pipe()
    ours = reader if inwards else writer
    worker = Worker(work, writer if inwards else reader, "wb" if inwards else "rb", wanted)
    nothing = os.open(os.devnull, os.O_RDWR)
    files = (ours, 1, 2) if inwards else (nothing, ours, 2)
    session = Session(connect(path), payload, files)
    worker.start()
    status = session.run(watch_signals(FORWARDED))
    os.close(ours)
    worker.join()
    return status or int(worker.failed)


# --- Into a node ---------------------------------------------------------------------------------


def pack(worker):
    """Packs the wanted paths, each under the last part of its name."""
    with tarfile.open(
        fileobj=worker.file, mode="w|", format=tarfile.GNU_FORMAT, bufsize=BLOCK_BYTES
    ) as archive:
        for path in worker.wanted:
            name = os.path.basename(os.path.realpath(path) if path in (".", "..") else path)
            pack_path(worker, archive, path, name, follow=True)


def pack_path(worker, archive, path, name, follow=False):
    """Packs what lies at one path, and all below it. Links are followed at the top only."""
    try:
        archive.inodes.clear()  # a file with two names is sent twice
        entry = archive.gettarinfo(os.path.realpath(path) if follow else path, name)
        if entry is None or not (entry.isreg() or entry.isdir() or entry.issym()):
            worker.complain(f"{path}: is neither a file, a folder nor a link")
        elif entry.isreg():
            with open(path, "rb") as file:
                archive.addfile(entry, file)
        else:
            archive.addfile(entry)
            if entry.isdir():
                for item in sorted(os.listdir(path)):
                    pack_path(worker, archive, os.path.join(path, item), f"{name}/{item}")
    except BrokenPipeError:
        raise
    except (PermissionError, FileNotFoundError) as error:
        worker.complain(f"{path}: {error.strerror}")


def copy_in(path, sources, destination):
    """Copies files and folders of the host into a node."""
    sources = [source.rstrip("/") or "/" for source in sources]
    for source in sources:
        if not os.path.exists(source):
            raise ClientError(f"{source}: no such file or folder")
        if source == "/":
            raise ClientError("/ has no name of its own to be copied under")
    into_folder = len(sources) > 1 or destination.endswith("/")
    arguments = ["copy-in", *(["-d"] if into_folder else []), destination or "."]
    return run_session(path, arguments, pack, True, sources)


# --- Out of a node -------------------------------------------------------------------------------


class Unpacker:
    """Writes an archive's entries below one folder, going down by descriptors, never by links."""

    def __init__(self, folder, new_name):
        self.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.new_name = new_name  # of the one top entry, or None
        self.folder_modes = []

    def split(self, name):
        """An entry's path as its parts."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or name.startswith("/"):
            raise tarfile.ReadError(f"'{name}' is not a name that can be unpacked")
        if self.new_name is not None:
            parts[0] = self.new_name
        return parts

    def descend(self, parts):
        """The folder that holds the last part, as a descriptor."""
        folder = os.dup(self.folder)
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            try:
                inner = os.open(part, flags, dir_fd=folder)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def unpack(self, archive, entry):
        """Writes one entry."""
        parts = self.split(entry.name)
        folder = self.descend(parts)
        try:
            if entry.isdir():
                self.make_folder(folder, parts, entry)
            else:
                self.replace_link(folder, parts[-1])
                if entry.issym():
                    os.symlink(entry.linkname, parts[-1], dir_fd=folder)
                elif entry.isreg():
                    self.write_file(archive, entry, folder, parts[-1])
                else:
                    raise tarfile.ReadError(f"'{entry.name}' is of an unknown kind")
        except OSError as error:
            error.filename = "/".join(parts)
            raise
        finally:
            os.close(folder)

    def make_folder(self, folder, parts, entry):
        """A folder that is there keeps its mode; others get theirs when they are full."""
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=folder)
            self.folder_modes.append((parts, entry.mode & 0o777))
        except FileExistsError:
            os.close(os.open(parts[-1], os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder))

    @staticmethod
    def replace_link(folder, name):
        """A link in the place of a file would lead elsewhere."""
        try:
            os.readlink(name, dir_fd=folder)
        except OSError:
            return
        os.unlink(name, dir_fd=folder)

    @staticmethod
    def write_file(archive, entry, folder, name):
        """A file's contents, mode and date."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
            content = archive.extractfile(entry)
            while data := content.read(BLOCK_BYTES):
                file.write(data)
            file.flush()
            os.fchmod(file.fileno(), entry.mode & 0o777)
            os.utime(file.fileno(), (entry.mtime, entry.mtime))

    def finish(self):
        """Gives new folders their modes, the innermost first."""
        for parts, mode in reversed(self.folder_modes):
            folder = self.descend(parts)
            os.chmod(parts[-1], mode, dir_fd=folder)
            os.close(folder)
        os.close(self.folder)


def unpack(worker):
    """Unpacks below the wanted folder; worker.wanted is (folder, new name or None)."""
    unpacker = Unpacker(*worker.wanted)
    with tarfile.open(fileobj=worker.file, mode="r|", bufsize=BLOCK_BYTES) as archive:
        for entry in archive:
            unpacker.unpack(archive, entry)
    # What is behind the archive's end mark.
    while worker.file.read(BLOCK_BYTES):
        pass
    unpacker.finish()


def copy_out(path, sources, destination):
    """Copies files and folders of a node to the host."""
    if os.path.isdir(destination):
        wanted = (destination, None)
    elif len(sources) > 1 or destination.endswith("/"):
        raise ClientError(f"{destination}: is not a folder")
    else:
        folder, name = os.path.split(destination)
        wanted = (folder or ".", name)
        if not os.path.isdir(wanted[0]):
            raise ClientError(f"{folder}: no such folder")
    return run_session(path, ["copy-out", *sources], unpack, False, wanted)
