"""Symbolic links: changes of what they lead to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wclayer.errors import InexpressibleError, NotFoundError, UsageError, WclayerError
from wclayer.regf.edits import KeyEdits, apply_edits, delta_of
from wclayer.regf.links import Links, follow_links
from wclayer.regf.model import Key, RegType, Value, dword

ROOT = ["HKEY_LOCAL_MACHINE", "SOFTWARE"]


def link(name: str, target: str) -> Key:
    data = target.encode("utf-16-le")
    return Key(name, (Value("SymbolicLinkValue", RegType.LINK, data),), flags=0x10)


def to(name: str, path: str) -> Key:
    return link(name, f"\\Registry\\Machine\\Software\\{path}")


def below(names: Sequence[str]) -> Sequence[str]:
    if [name.upper() for name in names[:2]] != ROOT:
        raise UsageError("a key of another hive")
    return names[2:]


VIEW = Key(
    "ROOT",
    (),
    (
        Key("Classes", (), (Key("WOW6432Node", (), (Key("CLSID"),)),)),
        Key("WOW6432Node", (), (to("Classes", "Classes\\WOW6432Node"), to("Twice", "wow6432node\\CLASSES\\clsid"))),
        Key(
            "Odd",
            (),
            (
                to("Self", "Odd\\Self"),
                to("Up", "Odd"),
                to("Gone", "Nothing\\Here"),
                link("Sam", "\\REGISTRY\\MACHINE\\SAM\\SAM"),
                link("NoPath", "Software"),
                Key("NoValue", flags=0x10),
                Key("NoLink", to("x", "Classes").values),
            ),
        ),
    ),
)


def followed(path: str, changes: KeyEdits | None = None) -> str:
    return "\\".join(Links(VIEW, below).followed(path.split("\\"), changes or KeyEdits()))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("WOW6432Node\\classes", "Classes\\WOW6432Node"),
        ("WOW6432Node\\Classes\\CLSID\\{1}", "Classes\\WOW6432Node\\CLSID\\{1}"),
        ("WOW6432Node\\Twice\\{1}", "Classes\\WOW6432Node\\clsid\\{1}"),
        ("Odd\\Up\\Up\\NoLink\\x", "Odd\\NoLink\\x"),
        ("Odd\\NoLink", "Odd\\NoLink"),
        ("New\\Classes", "New\\Classes"),
    ],
)
def test_what_a_link_leads_to(path: str, wanted: str) -> None:
    assert followed(path) == wanted
    changes = KeyEdits()
    changes.at(path.split("\\"), make=True).set(dword("v", 1))
    follow_links(changes, Links(VIEW, below))
    for change in (apply_edits, delta_of):
        key = change(VIEW, changes, 9).find(wanted)
        assert key is not None
        assert key.value("v") == dword("v", 1)
    made = apply_edits(VIEW, changes, 9)
    assert made.find("WOW6432Node") == VIEW.find("WOW6432Node")
    assert [key for _, key in made.walk() if key.flags & 0x10] == [key for _, key in VIEW.walk() if key.flags & 0x10]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("Odd\\Self\\x", UsageError, r"^Odd\\Self(\\x)?: links that lead to each other"),
        ("Odd\\Gone", NotFoundError, r"^Odd\\Gone: a link to a missing key; expected Nothing\\Here"),
        (
            "Odd\\Sam\\x",
            UsageError,
            r"a link into another hive, to \\REGISTRY\\MACHINE\\SAM\\SAM -- name ",
        ),
        ("Odd\\NoPath", UsageError, "a link that does not lead to a key; .*; got Software"),
        ("Odd\\NoValue", UsageError, "a link that does not lead to a key; .*; got nothing"),
    ],
)
def test_links_that_lead_nowhere(path: str, error: type[WclayerError], words: str) -> None:
    changes = KeyEdits()
    changes.at(path.split("\\"), make=True)
    for follow in (lambda: followed(path), lambda: follow_links(changes, Links(VIEW, below))):
        with pytest.raises(error, match=words):
            follow()


def test_what_is_deleted_and_made_anew_is_no_link() -> None:
    changes = KeyEdits()
    changes.at(["wow6432node"], make=False).remove()
    changes.at(["WOW6432Node", "Classes", "x"], make=True)
    assert followed("WOW6432Node\\Classes\\x", changes) == "WOW6432Node\\Classes\\x"
    follow_links(changes, Links(VIEW, below))
    made = apply_edits(VIEW, changes, 9)
    assert made.find("WOW6432Node\\Classes\\x") is not None
    assert made.find("Classes\\WOW6432Node\\x") is None


def test_a_key_that_is_made_can_be_led_to() -> None:
    changes = KeyEdits()
    changes.at(["Nothing", "Here"], make=True)
    assert followed("Odd\\Gone\\x", changes) == "Nothing\\Here\\x"
    changes.subkeys.clear()
    changes.at(["Classes"], make=False).remove()
    with pytest.raises(NotFoundError):
        followed("WOW6432Node\\Classes\\x", changes)


def test_who_deletes_a_link_deletes_what_it_leads_to() -> None:
    changes = KeyEdits()
    changes.at(["WOW6432Node", "Classes"], make=False).remove()
    follow_links(changes, Links(VIEW, below))
    made = apply_edits(VIEW, changes, 9)
    assert made.find("Classes\\WOW6432Node") is None
    assert made.find("WOW6432Node\\Classes") is not None


def test_two_names_of_one_key() -> None:
    def change(*more: tuple[str, int]) -> KeyEdits:
        changes = KeyEdits()
        for path, number in (("Classes\\WOW6432Node\\CLSID", 1), *more):
            names = path.split("\\")
            if number:
                changes.at(names, make=True).set(dword("v", number))
            else:
                changes.at(names, make=False).remove()
        follow_links(changes, Links(VIEW, below))
        return changes

    found = apply_edits(VIEW, change(("WOW6432Node\\Classes\\CLSID", 1), ("WOW6432Node\\Twice\\b", 2)), 9)
    clsid = found.find("Classes\\WOW6432Node\\CLSID")
    assert clsid is not None
    assert (clsid.values, [sub.name for sub in clsid.subkeys]) == ((dword("v", 1),), ["b"])
    for other in (("WOW6432Node\\Classes\\CLSID", 2), ("WOW6432Node\\Twice", 0), ("WOW6432Node\\Classes", 0)):
        with pytest.raises(UsageError, match=r"changes of WOW6432Node\\.* which are one key"):
            change(other)
    with pytest.raises(UsageError, match="which are one key"):  # above it is deleted
        change(("Classes", 0), ("Classes\\WOW6432Node", 3), ("WOW6432Node\\Classes\\x", 2))


@pytest.mark.parametrize(("count", "fits"), [(31, True), (32, False)])
def test_the_longest_chain_of_links(count: int, fits: bool) -> None:
    """At most 32 steps, of which the last one finds no further link."""
    root = Key("", (), (*(to(f"L{number}", f"L{number + 1}") for number in range(count)), Key(f"L{count}")))
    links = Links(root, below)
    if fits:
        assert links.followed(["L0", "x"], KeyEdits()) == (f"L{count}", "x")
    else:
        with pytest.raises(UsageError, match="links that lead to each other"):
            links.followed(["L0", "x"], KeyEdits())


def test_a_root_that_is_led_to_stays() -> None:
    root = Key("", (), (link("Top", "\\REGISTRY\\MACHINE\\SOFTWARE"),))
    changes = KeyEdits()
    changes.at(["Top", "x"], make=True)
    follow_links(changes, Links(root, below))
    assert [sub.name for sub in apply_edits(root, changes, 9).subkeys] == ["Top", "x"]
    changes.at(["Top"], make=False).remove()
    with pytest.raises(UsageError, match="changes of Top and of the root, which are one key"):
        follow_links(changes, Links(root, below))


def test_a_tree_that_is_led_to_where_it_is_too_deep() -> None:
    chain = Key("k")
    for _ in range(300):
        chain = Key("k", (), (chain,))
    view = Key("", (), (chain, to("L", "\\".join("k" * 301))))
    with pytest.raises(InexpressibleError, match="a link to a key too deep; expected at most 512 levels"):
        Links(view, below).followed(["L", *"x" * 300], KeyEdits())
    changes = KeyEdits()
    changes.at(["L", *"x" * 300], make=True)
    with pytest.raises(InexpressibleError, match=r"^L: a link to a key too deep; .*; got 60"):
        follow_links(changes, Links(view, below))
