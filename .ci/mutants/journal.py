"""Files of JSON lines, to which results are added as they come: a run that is killed loses nothing."""

import json
import threading
from dataclasses import dataclass


def lines(path):
    """All whole lines of a file, which need not exist."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            # Its writer was killed.
            pass
    return found


class Journal:
    """Adds lines, from any thread."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        # What a killed writer left is ended, so that the next line is one of its own.
        if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
            with open(path, "a", encoding="utf-8") as file:
                file.write("\n")

    def add(self, value):
        """Writes it at once."""
        with self.lock, open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")


@dataclass(frozen=True)
class Test:
    """A test by its binary (`restore/unit`, `cli/test:faults`) and name."""

    binary: str
    name: str

    def __str__(self):
        return f"{self.binary} {self.name}"


class Tests:
    """Numbers of tests, by which results name them. They last as long as the working folder, and are added to."""

    def __init__(self, path):
        self.all = [Test(*line) for line in lines(path)]
        self.numbers = {test: number for number, test in enumerate(self.all)}
        self.journal = Journal(path)

    def number(self, test):
        """The number of a test, which it gets now if it has none."""
        if test not in self.numbers:
            self.numbers[test] = len(self.all)
            self.all.append(test)
            self.journal.add([test.binary, test.name])
        return self.numbers[test]
