"""Compiles the copy with all mutants; those that the compiler refuses are dropped, until it refuses none."""

import json
import os
import subprocess
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import sources
from journal import Journal, lines
from sandbox import Binary
from sources import Instrumenter, Mutant
from workspace import Failure

MOST_TURNS = 40


@dataclass
class Built:
    """What is built: a stamp for all of it, the mutants in it, and the binaries of tests by names like `restore/unit`."""

    build: str
    crates: list[str]
    mutants: list[Mutant]
    binaries: dict[str, Binary]

    @classmethod
    def read(cls, folder):
        """What the last build left."""
        try:
            value = json.loads(folder.built.read_text())
        except FileNotFoundError:
            raise Failure("nothing has been built in this working folder yet: `mutants run`") from None
        mutants = [Mutant(**each) for each in value["mutants"]]
        binaries = {name: Binary(**each) for name, each in value["binaries"].items()}
        return cls(value["build"], value["crates"], mutants, binaries)

    def write(self, folder):
        """Leaves it for later."""
        value = asdict(self)
        folder.built.write_text(json.dumps(value))


def build(workspace, folder, chosen, tested, files, jobs):
    """Builds the tests of the packages `tested` with the mutants of those that are `chosen`."""
    # Until all of it is there, there is none.
    folder.built.unlink(missing_ok=True)
    sources.take_over(workspace, folder)
    instrumenter = Instrumenter(folder)
    dropped = dropped_keys(folder)
    journal = Journal(folder.dropped)
    for turn in range(1, MOST_TURNS + 1):
        done = instrumenter.run(folder.source, chosen, files, dropped)
        if not done.mutants:
            raise Failure("there is nothing to change in what was chosen")
        sources.write_copy(workspace, folder, chosen, done)
        status, messages = cargo(folder, tested, jobs)
        if status == 0:
            print(f"build: {len(done.mutants)} mutants", flush=True)
            stamp = sources.fingerprint(folder)
            built = Built(stamp, [package.crate for package in chosen], done.mutants, binaries(folder, messages))
            built.write(folder)
            return built
        refused = refused_by(messages, done, folder)
        print(f"build, turn {turn}: {len(refused)} of {len(done.mutants)} mutants do not compile", flush=True)
        for mutant in done.mutants:
            if mutant.number in refused:
                dropped.add(mutant.key)
                journal.add({"key": mutant.key, "because": refused[mutant.number]})
    raise Failure(f"it does not compile after {MOST_TURNS} turns")


def dropped_keys(folder):
    """Mutants that do not compile, by what earlier builds said."""
    return {line["key"] for line in lines(folder.dropped)}


def cargo(folder, tested, jobs):
    """Compiles; returns the status and all messages."""
    command = ["cargo", "test", "--no-run", "--locked", "--tests", "--message-format=json"]
    command += [f"--jobs={jobs}", f"--target-dir={folder.target}"]
    command += [f"--package={package.name}" for package in tested]
    environment = os.environ | {
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_INCREMENTAL": "0",
        "MUTANT_SWITCH_FOLDER": str(folder.switch),
    }
    for name in ("CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"):
        environment.pop(name, None)
    with open(folder.cargo_log, "w", encoding="utf-8") as log:
        done = subprocess.run(
            command, cwd=folder.copy, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, check=False
        )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def binaries(folder, messages):
    """Programs of tests, as cargo's messages name them."""
    found = {}
    for message in messages:
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        if not message["profile"]["test"]:
            continue
        package = Path(message["manifest_path"]).parent
        kind = message["target"]["kind"][0]
        name = "unit" if kind == "lib" else f"{kind}:{message['target']['name']}"
        if package.is_relative_to(folder.copy / "crates"):
            found[f"{package.name}/{name}"] = Binary(message["executable"], str(package))
    return found


# ---------------------------------------------------------------- errors


def refused_by(messages, done, folder):
    """The numbers of mutants that errors are about, each with the error's first words."""
    blame = Blame(done)
    refused = {}
    unknown = []
    for message in messages:
        if message.get("reason") != "compiler-message" or not message["message"]["level"].startswith("error"):
            continue
        error = message["message"]
        # The last one only counts the others.
        if not error["spans"]:
            continue
        numbers = blame.of(error, refused)
        if not numbers:
            unknown.append(error["rendered"])
        refused |= {number: error["message"][:150] for number in numbers}
    if not refused:
        print("".join(unknown[:5]) or folder.cargo_log.read_text()[-3000:], flush=True)
        raise Failure("it does not compile, and no mutant is to blame")
    return refused


def spans_of(error):
    """All spans of an error and its notes, outwards through macros: whether it is a primary one, file, first byte and end."""
    for span in error["spans"]:
        while span:
            yield span["is_primary"], (span["file_name"], span["byte_start"], span["byte_end"])
            span = (span.get("expansion") or {}).get("span")
    for note in error["children"]:
        for _, span in spans_of(note):
            yield False, span


class Blame:
    """Leads errors back to mutants."""

    def __init__(self, done):
        self.alternatives = by_file(done.alternatives)
        self.places = by_file(done.places)
        self.functions = by_file(done.functions)

    def of(self, error, refused):
        """The numbers of those to blame: the text of one mutant if possible, or else ever more of what is around."""
        spans = list(spans_of(error))
        primary = [span for is_primary, span in spans if is_primary]
        every = [span for _, span in spans]
        secondary = [span for is_primary, span in spans if not is_primary]
        return (
            self.texts(primary)
            or self.texts(secondary)
            or self.places_around(primary, refused)
            or self.places_inside(every)
            or self.functions_around(every)
        )

    def texts(self, spans):
        """Mutants whose own text has a span."""
        return {found[3] for found in (innermost(self.alternatives, span) for span in spans) if found}

    def places_around(self, spans, refused):
        """All mutants of the innermost places around spans, as far as any of them is still there."""
        numbers = set()
        for span in spans:
            alive = [place for place in self.places[span[0]] if not numbers_of(place) <= refused.keys()]
            found = innermost({span[0]: alive}, span)
            numbers |= numbers_of(found) if found else set()
        return numbers

    def places_inside(self, spans):
        """All mutants of places within spans."""
        inside = (place for file, start, end in spans for place in self.places[file] if start <= place[1] <= place[2] <= end)
        return set().union(*map(numbers_of, inside))

    def functions_around(self, spans):
        """All mutants of the innermost functions around spans."""
        found = [innermost(self.functions, span) for span in spans]
        return set().union(*(range(function[3], function[4]) for function in found if function))


def by_file(entries):
    """Entries `[file, first byte, end, …]` by their files."""
    found = defaultdict(list)
    for entry in entries:
        found[entry[0]].append(entry)
    return found


def innermost(entries, span):
    """The shortest entry around a span."""
    file, start, end = span
    around = [entry for entry in entries[file] if entry[1] <= start and end <= entry[2]]
    return min(around, key=lambda entry: entry[2] - entry[1], default=None)


def numbers_of(place):
    """The mutants of a place."""
    return set(range(place[3], place[3] + place[4]))
