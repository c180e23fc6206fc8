"""The JSON form of instructions: arrays that are not valid, or not what they look like."""

from __future__ import annotations

import re
from typing import Final

from .parse import Instruction

__all__ = ["JSON_HINT", "has_control_characters", "is_meant_as_json", "json_warning"]

JSON_HINT: Final = r'double the backslashes and use double quotes: ["a.txt", "C:\\x\\"]'
# A bracket before a quote, also one that a word processor made, or a bracket around everything.
# PowerShell's `[Console]::Beep()` and the wildcard `[ab]*.txt` are neither.
_MEANT_AS_JSON: Final = re.compile("\\[\\s*[\"'\u2018-\u201f]|\\[[^\\]]*\\]?$")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# What an invalid array is to each instruction; COPY, ADD and SHELL refuse one.
_OTHER_FORM: Final = {
    "CMD": "a command of the shell",
    "ENTRYPOINT": "a command of the shell",
    "HEALTHCHECK": "a command of the shell",
    "VOLUME": "the names of volumes, brackets included",
}


def is_meant_as_json(instruction: Instruction) -> bool:
    """Was the instruction probably meant as a JSON array, though it is not a valid one?

    Docker then takes it for the other form without a word, with the brackets and quotes as part of the words.
    """
    args = instruction.args[1:] if instruction.name == "HEALTHCHECK" else instruction.args
    return not instruction.json and _MEANT_AS_JSON.match(" ".join(args).strip()) is not None


def has_control_characters(instruction: Instruction) -> bool:
    r"""Has an escape in its JSON array become a control character, as `\n` in `C:\new`?"""
    return instruction.json and any(map(_CONTROL.search, instruction.args))


def json_warning(instruction: Instruction) -> str | None:
    """A warning about a JSON array that means something else than it looks like; None where there is no doubt."""
    form = _OTHER_FORM.get(instruction.name)
    if form is not None and is_meant_as_json(instruction):
        return f"not a valid JSON array, so {instruction.name} takes it as {form}; {JSON_HINT}"
    if has_control_characters(instruction):
        return f"an escape in the JSON array of {instruction.name} makes a control character; {JSON_HINT}"
    return None
