"""Finds out which tests come by which places, and how long they take: each is run by itself once, with nothing changed."""

import collections
from dataclasses import dataclass

from journal import Journal, Test, Tests, lines
from sandbox import Sandbox

# Seconds that a test may take: at first, and if it failed or took longer, once more.
LIMITS = (30, 90)
# Tests that take longer than this, on the clock or of the processor, judge nothing.
MOST_SECONDS = 20
MOST_CPU_SECONDS = 10


@dataclass
class Reacher:
    """A test as judging wants it: how long it takes, and how many places it comes by."""

    number: int
    test: Test
    seconds: float
    places: int


def find(folder, built, workers):
    """Runs every test that has not been run with this build; returns false if it was stopped."""
    tests = Tests(folder.tests)
    found = names(folder, built)
    journal = Journal(folder.reach)
    for attempt, limit in enumerate(LIMITS):
        known = latest(folder, built)
        waiting = [test for test in found if wants(known.get(tests.number(test)), attempt)]
        print(f"reach: {len(waiting)} of {len(found)} tests, {limit} s at most for each", flush=True)

        def one(sandbox, test, attempt=attempt, limit=limit):
            ran = sandbox.run_tests(built.binaries[test.binary], [test.name], "reach", limit)
            passed = ran.status == 0 and "1 passed" in ran.output
            line = {
                "build": built.build,
                "test": tests.number(test),
                "attempt": attempt,
                # Ignored tests run nothing, without failing.
                "status": "passed" if passed else "ignored" if ran.status == 0 else "failed",
                "seconds": ran.seconds,
                "cpu_seconds": ran.cpu_seconds,
                "places": ran.reached,
            }
            journal.add(line | ({} if ran.status == 0 else {"output": ran.output[-1500:]}))

        if not workers.do(waiting, one):
            return False
    return True


def wants(known, attempt):
    """Whether a test is still to be run, by what its last run said."""
    if known is None:
        return True
    return known["status"] == "failed" and known["attempt"] < attempt


def names(folder, built):
    """All tests of all binaries. Those of the changed crates come first: they end soonest."""
    found = []
    sandbox = Sandbox(folder)
    try:
        for name in sorted(built.binaries, key=lambda name: (name.split("/")[0] not in built.crates, name)):
            ran = sandbox.run(built.binaries[name], ["--list", "--format", "terse"], 0, 60)
            found += [Test(name, line[:-6]) for line in ran.output.splitlines() if line.endswith(": test")]
    finally:
        sandbox.close()
    return found


def latest(folder, built):
    """The last line of each test, by its number, for this build alone."""
    return {line["test"]: line for line in lines(folder.reach) if line["build"] == built.build}


def by_place(folder, built):
    """The tests that come by each place, the fastest first."""
    tests = Tests(folder.tests).all
    found = collections.defaultdict(list)
    for line in latest(folder, built).values():
        if line["status"] != "passed" or line["seconds"] > MOST_SECONDS or line["cpu_seconds"] > MOST_CPU_SECONDS:
            continue
        test = tests[line["test"]]
        if test.binary not in built.binaries:
            continue
        reacher = Reacher(line["test"], test, line["seconds"], len(line["places"]))
        for place in line["places"]:
            found[place].append(reacher)
    for reachers in found.values():
        reachers.sort(key=lambda reacher: reacher.seconds)
    return found
