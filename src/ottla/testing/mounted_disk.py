"""Small real file systems that can lose their power or run full; for root on Linux only.

with LoopDisk(image, mount_point) as disk:
    ...
    disk.shut_down()      # what was not synced is gone
    disk.unmount()
        disk.mount()
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
from types import TracebackType

_FS_IOC_SHUTDOWN = 0x8004587D
# Neither data nor journal are written any more: as if the plug were pulled.
_WITHOUT_FLUSHING = 2
# Of linux/capability.h, linux/sched.h and linux/mount.h.
_CAP_SYS_ADMIN = 21
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_COMMANDS = ("mkfs.ext4", "losetup", "mount", "umount")

_is_private = False


def why_unavailable() -> str | None:
    """Why file systems can't be mounted here, or None when they can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "mounting file systems needs root"
    missing = [command for command in _COMMANDS if shutil.which(command) is None]
    if missing:
        return f"no {' and no '.join(missing)} command"
    if not pathlib.Path("/dev/loop-control").exists():
        return "no loop devices"
    status = pathlib.Path("/proc/self/status").read_text()
    capabilities = next(line for line in status.splitlines() if line.startswith("CapEff"))
    if not int(capabilities.split()[1], 16) >> _CAP_SYS_ADMIN & 1:
        return "root, but without the right to mount (CAP_SYS_ADMIN)"
    return None


def _enter_private_namespace() -> None:
    """From now on this process's mounts, and its children's, are theirs alone and end with them:
    even a test that is killed leaves nothing mounted.

    Raises:
        OSError: the system doesn't allow it.
    """
    global _is_private
    if _is_private:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "can't have mounts of my own")
    _is_private = True


class _Mounted:
    """A mount that is gone when the block ends."""

    def __init__(self, mount_point: pathlib.Path) -> None:
        self.mount_point = mount_point
        self._is_mounted = False

    def mount(self) -> None:
        """Mount it (again)."""
        raise NotImplementedError

    def unmount(self) -> None:
        """Unmount it, lazily when somebody still holds on to it."""
        if self._is_mounted:
            self._is_mounted = False
            try:
                _run("umount", str(self.mount_point))
            except subprocess.CalledProcessError:
                _run("umount", "--lazy", str(self.mount_point))

    def _mount(self, *arguments: str) -> None:
        _enter_private_namespace()
        self.mount_point.mkdir(parents=True, exist_ok=True)
        _run("mount", *arguments, str(self.mount_point))
        self._is_mounted = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unmount()


class LoopDisk(_Mounted):
    """An ext4 file system in an image file.

    Args:
        image: the file; made sparse, and left there.
        mount_point: where it is mounted.
    """

    def __init__(
        self, image: pathlib.Path, mount_point: pathlib.Path, size_bytes: int = 512 * 1024 * 1024
    ) -> None:
        super().__init__(mount_point)
        self._image = image
        self._size_bytes = size_bytes

    def mount(self) -> None:
        """Mount it (again); ext4 replays its journal as after a real power cut."""
        self._mount("-o", "loop", str(self._image))

    def shut_down(self) -> None:
        """Cut the file system's power: all access fails from now on, unsynced data is lost."""
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(descriptor)

    def __enter__(self) -> LoopDisk:
        with self._image.open("wb") as file:
            file.truncate(self._size_bytes)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()
        return self


class SmallDisk(_Mounted):
    """A file system in memory that runs full: tmpfs of a given size."""

    def __init__(self, mount_point: pathlib.Path, size_bytes: int) -> None:
        super().__init__(mount_point)
        self._size_bytes = size_bytes

    def mount(self) -> None:
        """Mount it, empty."""
        self._mount("-t", "tmpfs", "-o", f"size={self._size_bytes}", "ottla-small-disk")

    def grow(self, size_bytes: int) -> None:
        """Make room; the files stay."""
        _run("mount", "-o", f"remount,size={size_bytes}", str(self.mount_point))

    def __enter__(self) -> SmallDisk:
        self.mount()
        return self


def _run(command: str, *arguments: str) -> None:
    executable = shutil.which(command)
    if executable is None:
        raise FileNotFoundError(command)
    subprocess.run(  # noqa: S603 - our own commands
        [executable, *arguments], check=True, capture_output=True, timeout=60
    )
