"""Which security descriptor a new file or directory gets: by a template, by SDDL of its own, or inherited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

from ..errors import UsageError
from ..win32.accounts import parse_account
from ..win32.inherit import inherit
from ..win32.security import Sid
from .acl import TEMPLATES, Template, parse_descriptor, with_owner
from .recipe import Security

__all__ = ["Access"]

_inherit: Final = lru_cache(maxsize=1024)(inherit)


@dataclass(frozen=True, slots=True)
class Access:
    """The access rule at one path of the tree, and for everything below it until another rule applies.

    template: a pair of descriptors. own: the descriptor of only this path. parent: the one to inherit from. Exactly
    one of the three is set.
    """

    template: Template | None = None
    own: bytes | None = None
    parent: bytes | None = None
    owner: Sid | None = None

    @classmethod
    def named(cls, name: str) -> Self:
        """The template of that name. Raises UsageError."""
        try:
            return cls(TEMPLATES[name])
        except KeyError:
            raise UsageError("an unknown ACL template", expected=", ".join(TEMPLATES), got=name) from None

    def descriptor(self, *, directory: bool) -> bytes:
        """The self-relative descriptor of a file or directory at this place; it always has a DACL."""
        if self.template is not None:
            found = self.template.directory if directory else self.template.file
        elif self.own is not None:
            found = self.own
        else:
            found = _inherit(self.parent or b"", directory=directory)
        return found if self.owner is None else with_owner(found, self.owner)

    def below(self) -> Access:
        """The access rule for the children of a directory at this path."""
        if self.template is not None:
            return self
        return Access(parent=self.descriptor(directory=True))

    def changed(self, security: Security) -> Access:
        """The access rule where a rule sets `security`. Raises UsageError, SddlError."""
        access = self
        if security.acl is not None:
            access = Access.named(security.acl)
        elif security.sddl is not None:
            access = Access(own=parse_descriptor(security.sddl))
        return access if security.owner is None else replace(access, owner=parse_account(security.owner))
