"""A layer that lies in two folders: its utility VM in the layer folder itself, all else in a transport folder.

So the host compute service wants a non-base layer, and so it gives one back.
"""

from __future__ import annotations

from typing import Final

from ...native import files
from ..root.root_windows import WindowsRoot

__all__ = ["SplitRoot", "in_utility_vm"]

_UTILITY_VM: Final = (b"UtilityVM", b"UtilityVM.$wcidirs$")


def in_utility_vm(host: bytes) -> bool:
    """Is it UtilityVM, or below it?"""
    return host.partition(b"/")[0] == _UTILITY_VM[0]


class SplitRoot(WindowsRoot):
    """The folder `path`, where UtilityVM lies, and `transport`, where all else does, as one root (see Root)."""

    def __init__(self, path: bytes, transport: bytes, *, descriptors: int = 64) -> None:
        half = max(1, descriptors // 2)
        super().__init__(path, descriptors=half)
        try:
            self.transport = WindowsRoot(transport, descriptors=half)
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        super().close()
        self.transport.close()

    def _elsewhere(self, path: bytes) -> bool:
        return path.partition(b"/")[0] not in _UTILITY_VM

    def _at(self, path: bytes) -> tuple[bytes, int]:
        # The root's own names too, of which but UtilityVM is the layer folder's.
        return self.transport._at(path) if self._elsewhere(path) else super()._at(path)

    def _descend(self, directory: bytes) -> int:
        elsewhere = directory and self._elsewhere(directory)
        return self.transport._descend(directory) if elsewhere else super()._descend(directory)

    def entries(self, path: bytes) -> list[tuple[bytes, files.Information]]:
        if path:
            return super().entries(path)
        found = [item for item in self.transport.entries(b"") if item[0] not in _UTILITY_VM]
        return found + [item for item in WindowsRoot.entries(self, b"") if item[0] == _UTILITY_VM[0]]

    def rmdir(self, path: bytes) -> None:
        if self._elsewhere(path):
            self.transport.rmdir(path)
        else:
            super().rmdir(path)
