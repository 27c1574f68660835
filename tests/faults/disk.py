"""The disk of the run: a small tmpfs of its own where we may mount one, so that it can fill up."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from pathlib import Path

SIZE_MB = 256
SIZE_OF_THREE_MB = 1_536
CHUNK = bytes(65_536)


class Disk:
    """The folder in which databases and the provider's ledger are kept."""

    def __init__(self, folder: Path, size_mb: int = SIZE_MB) -> None:
        self.folder, self._size_mb = folder, size_mb
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)  # the database servers are other users
        self.is_small = os.geteuid() == 0 and self._mount()

    def fill(self) -> int:
        """Leave no room on it; how many bytes that took."""
        assert self.is_small, "this would fill up somebody's disk"
        taken = 0
        try:
            with self._ballast.open("wb", buffering=0) as file:
                while True:
                    taken += file.write(CHUNK)
        except OSError:  # that is it
            return taken

    def relieve(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def close(self, *, keep: bool) -> None:
        """Unmount it; what is to be kept is carried to the disk below."""
        if not self.is_small:
            return
        self.relieve()
        aside = self.folder.with_name(f"{self.folder.name}.kept")
        if keep:
            shutil.copytree(self.folder, aside, symlinks=True, ignore=_sockets)
        self._unmount()
        if keep:
            self.folder.rmdir()
            aside.rename(self.folder)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _mount(self) -> bool:
        options = f"size={self._size_mb}m,mode=0777"
        command = ["mount", "-t", "tmpfs", "-o", options, "skyhold-faults", str(self.folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if mounted:
            atexit.register(self._unmount)
        return mounted

    def _unmount(self) -> None:
        if self.is_small:
            self.is_small = False
            atexit.unregister(self._unmount)
            # Lazily: a process that is just dying may still have a file open.
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


def _sockets(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if (Path(folder) / name).is_socket()}
