"""Make the table of docs/exit-codes.md from the tree of errors: `python -m docs.exit_codes`."""

from __future__ import annotations

from wclayer import errors


def table() -> str:
    """The table, in Markdown."""
    classes = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    lines = ["| code | class | meaning |", "|---|---|---|"]
    rows = [(cls.exit_code, cls.__name__, (cls.__doc__ or "").splitlines()[0]) for cls in classes]
    lines += [f"| {code} | `{name}` | {text} |" for code, name, text in sorted(rows) if name != "WclayerError"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
