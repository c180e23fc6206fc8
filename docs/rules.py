"""Make docs/rules.md from the rules themselves: `python -m docs.rules`."""

from __future__ import annotations

from pathlib import Path

from wclayer.verify.documentation import rules_page

if __name__ == "__main__":
    Path(__file__).with_name("rules.md").write_text(rules_page(), encoding="utf-8", newline="\n")
