"""The table of changes that people looked at and found to make no difference that a test should notice."""

import csv

from workspace import HERE, Failure

JUDGED = HERE / "judged.tsv"
COLUMNS = ("crate", "file", "function", "text", "was", "becomes")


def identity(mutant):
    """A mutant as the table has it."""
    return tuple(getattr(mutant, column) for column in COLUMNS)


def judged():
    """The rows of the table."""
    with open(JUDGED, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or tuple(rows[0]) != (*COLUMNS, "why"):
        raise Failure(f"{JUDGED.name} must begin with the columns {', '.join((*COLUMNS, 'why'))}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]) or not row[-1].strip():
            raise Failure(f"{JUDGED.name}:{number}: a row needs all columns, and a reason in the last")
    return {tuple(row[:-1]) for row in rows[1:]}
