"""Writes what it reads between the two marks of a name in a file.

    insert-table.py FILE NAME < TABLE
"""

import sys
from pathlib import Path

file, name = Path(sys.argv[1]), sys.argv[2]
begin, end = f"<!-- {name}: begin (make golden) -->\n", f"<!-- {name}: end -->"
text = file.read_text()
if text.count(begin) != 1 or text.count(end) != 1:
    sys.exit(f"{file} has no marks `{begin.strip()}` and `{end}`")
before, rest = text.split(begin)
file.write_text(before + begin + sys.stdin.read() + end + rest.split(end)[1])
