"""Privileges of Windows: taken by one thread for as long as it needs them, and checked before work starts.

As go-winio has them: the thread gets a token of its own (ImpersonateSelf), in which they
are turned on, and giving that back gives them back; for the host compute service, as in
hcsshim's wclayer.exe, the process has them too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_int32, c_uint32, c_void_p, sizeof
from typing import Final

from ..errors import AccessError
from ..win32.security import Sid
from .declarations import LUID, NATIVES, TOKEN_PRIVILEGE
from .handles import close, last_code, last_error, wide

__all__ = ["ADMINISTRATORS", "EXPORT", "IMPORT", "check_member", "privileges", "process_privileges"]

_BACKUP: Final = "SeBackupPrivilege"
_RESTORE: Final = "SeRestorePrivilege"
_SECURITY: Final = "SeSecurityPrivilege"  # to read and write system ACLs
EXPORT: Final = (_BACKUP, _SECURITY)
IMPORT: Final = (_BACKUP, _RESTORE, _SECURITY)

_SECURITY_IMPERSONATION: Final = 2
_TOKEN_ADJUST_PRIVILEGES: Final = 0x20
_TOKEN_QUERY: Final = 0x8
_SE_PRIVILEGE_ENABLED: Final = 2
_ERROR_NOT_ALL_ASSIGNED: Final = 1300
ADMINISTRATORS: Final = "S-1-5-32-544"
_HINT: Final = "run it as administrator (an elevated prompt), as a member of Administrators"


class _Held(threading.local):
    depth = 0  # blocks that the thread is in


_HELD: Final = _Held()


@contextmanager
def privileges(names: tuple[str, ...]) -> Iterator[None]:
    """Have the calling thread hold these privileges while the block runs, which it must not leave for another thread.

    Blocks may lie in each other; the thread holds what any of them has asked for until it leaves the last. Raises
    AccessError for one that the process does not have.
    """
    if not _HELD.depth and not NATIVES.ImpersonateSelf(_SECURITY_IMPERSONATION):
        raise last_error()
    _HELD.depth += 1
    try:
        token = c_void_p()
        access = _TOKEN_ADJUST_PRIVILEGES | _TOKEN_QUERY
        if not NATIVES.OpenThreadToken(NATIVES.GetCurrentThread(), access, False, byref(token)):
            raise last_error()
        try:
            for name in names:
                _enable(token, name)
        finally:
            close(token.value or 0)
        yield
    finally:
        _HELD.depth -= 1
        if not _HELD.depth:
            NATIVES.RevertToSelf()


@contextmanager
def process_privileges(names: tuple[str, ...]) -> Iterator[None]:
    """Have the whole process hold these privileges while the block runs: what other threads do for a service's call.

    Those that it held before stay. Raises AccessError for one that it does not have.
    """
    token = c_void_p()
    if not NATIVES.OpenProcessToken(NATIVES.GetCurrentProcess(), _TOKEN_ADJUST_PRIVILEGES | _TOKEN_QUERY, byref(token)):
        raise last_error()
    before: list[TOKEN_PRIVILEGE] = []
    try:
        try:
            before.extend(_enable(token, name) for name in names)
            yield
        finally:
            for state in reversed(before):
                if state.PrivilegeCount:
                    NATIVES.AdjustTokenPrivileges(token, False, byref(state), 0, None, None)
    finally:
        close(token.value or 0)


def _enable(token: c_void_p, name: str) -> TOKEN_PRIVILEGE:
    """Enable one; its state before, of no privilege if it was enabled already."""
    luid = LUID()
    if not NATIVES.LookupPrivilegeValueW(None, wide(name), byref(luid)):
        raise last_error(name)
    wanted = TOKEN_PRIVILEGE(1, luid, _SE_PRIVILEGE_ENABLED)
    before, size = TOKEN_PRIVILEGE(), c_uint32()
    if not NATIVES.AdjustTokenPrivileges(token, False, byref(wanted), sizeof(before), byref(before), byref(size)):
        raise last_error(name)
    if last_code() == _ERROR_NOT_ALL_ASSIGNED:
        raise AccessError(f"the process does not hold {name}", expected=name, hint=_HINT)
    return before


def check_member(group: str) -> None:
    """Raise AccessError unless the group, a SID as text, is enabled in the token.

    The host compute service wants ADMINISTRATORS to be; without elevation it only counts for denying.
    """
    member = c_int32()
    if not NATIVES.CheckTokenMembership(None, Sid.from_string(group).to_bytes(), byref(member)):
        raise last_error()
    if not member.value:
        raise AccessError(
            "the process does not run as administrator", expected=f"{group} enabled in its token", hint=_HINT
        )
