"""What a broker that can't start says: what is wrong, and what to do about it."""

from __future__ import annotations

import errno
import os
import socket

from ottla.log.errors import DirectoryLocked, DirectoryRefused, ForeignDirectory
from ottla.ports.net import Address


class StartError(Exception):
    """A broker can't start: what is wrong, and what to do about it, in plain words."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


def directory_error(error: Exception) -> StartError:
    """What to tell of a log directory that can't be used."""
    if isinstance(error, DirectoryLocked):
        return StartError(
            str(error), "stop the other process, or choose another directory with --data DIR"
        )
    if isinstance(error, ForeignDirectory):
        return StartError(
            str(error),
            "choose another directory with --data DIR, or start with the ids it was made with",
        )
    if isinstance(error, DirectoryRefused):
        return StartError(str(error), "choose another directory with --data DIR")
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno is not None:
        return _disk_error(cause)
    return StartError(str(error), _CHECK_DISK)


_CHECK_DISK = "check that the directory exists, is writable and has free space"


def _disk_error(error: OSError) -> StartError:
    path = error.filename or "the data directory"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "the file system is read-only" if error.errno == errno.EROFS else "no permission"
        return StartError(
            f"can't write to {path}: {reason}",
            "let this user write there, or choose another directory with --data DIR",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StartError(
            f"{path} is a file, not a directory", "choose a directory with --data DIR"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StartError(
            f"no space left on the disk of {path}",
            "make room, or choose a directory on another disk with --data DIR",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StartError(
            "too many open files", "raise the limit of open files (ulimit -n) and start again"
        )
    return StartError(f"can't use {path}: {error.strerror}", _CHECK_DISK)


def listen_error(address: Address, error: OSError) -> StartError:
    """What to tell of an address that can't be listened on."""
    if isinstance(error, socket.gaierror):
        return StartError(
            f"can't listen on {address}: the host {address.host!r} is not known",
            "name a host or an address of this machine, or none for all of them: "
            f"--listen :{address.port}",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = (
        "stop what uses that port, or choose another with --listen HOST:PORT "
        "(port 0 takes a free one)"
    )
    if error.errno == errno.EADDRNOTAVAIL:
        hint = (
            "that is no address of this machine; name one, or none for all of them: "
            f"--listen :{address.port}"
        )
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = "ports below 1024 are for root; choose another with --listen HOST:PORT"
    return StartError(f"can't listen on {address}: {reason}", hint)
