"""The parts of docs/BENCHMARKS-RUNTIME.md, each of which a script writes."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/BENCHMARKS-RUNTIME.md"


def replaced(text, part):
    """text with part, which begins with its heading, in the place of the part with the same heading, or at the end."""
    heading, part = part.partition("\n")[0], part.rstrip() + "\n"
    pattern = re.compile(rf"^{re.escape(heading)}\n.*?(?=\n^## |\Z)", re.DOTALL | re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _: part, text)
    return text.rstrip() + "\n\n" + part


def write(part):
    PAGE.write_text(replaced(PAGE.read_text(), part))
