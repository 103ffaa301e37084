"""Switches mutants on, one by one, and runs the tests that come by them until one notices."""

import collections
import itertools
import threading
import time
from dataclasses import dataclass, field

import reach
from journal import Journal, Tests, lines
from judged import identity, judged

# Seconds of tests, as long as they usually take, that a mutant gets in each round; only those alive come into the next.
ROUNDS = (8, 30, 120, float("inf"))
# Tests are started together as long as they take so many seconds: few at first, for most mutants are caught soon.
FIRST_STEP = 0.4
LONGEST_STEP = 5
# A test may take so many times as long as usual, and this much longer, before that counts as an endless loop.
SLOWER = 10
GRACE = 5
# So many tests that caught neighbours come first, of the function and of the file each.
NEIGHBOURS = 8


@dataclass
class Known:
    """What is known of a mutant: the last line about it, and the tests that it outlived."""

    line: dict | None = None
    outlived: set[int] = field(default_factory=set)

    @property
    def status(self):
        """`caught`, `timeout`, `alive`, `unreached`, or None."""
        return self.line and self.line["status"]


def known(folder):
    """What earlier runs found out, by the keys of mutants."""
    found = collections.defaultdict(Known)
    for line in lines(folder.results):
        found[line["key"]].line = line
        found[line["key"]].outlived.update(line.get("tests", []))
    return found


class Catches:
    """Which tests caught the mutants beside one: they are the likeliest to catch it, too."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.defaultdict(collections.Counter)

    def add(self, mutant, test):
        """A test has caught a mutant."""
        with self.lock:
            self.counts[mutant.file, mutant.function][test] += 1
            self.counts[mutant.file][test] += 1

    def likeliest(self, mutant):
        """Numbers of tests."""
        with self.lock:
            by_function = self.counts[mutant.file, mutant.function].most_common(NEIGHBOURS)
            return [test for test, _ in by_function + self.counts[mutant.file].most_common(NEIGHBOURS)]


def in_order(reachers, likeliest):
    """Tests in the order in which they are tried: the likeliest, then by turns the fastest and the one that reaches least."""
    left = {reacher.number: reacher for reacher in reachers}
    first = [left.pop(number) for number in likeliest if number in left]
    fastest = sorted(left.values(), key=lambda reacher: reacher.seconds)
    narrowest = sorted(left.values(), key=lambda reacher: reacher.places)
    by_turns = itertools.chain.from_iterable(zip(fastest, narrowest))
    return first + list({reacher.number: reacher for reacher in by_turns}.values())


class Trial:
    """One mutant in one round."""

    def __init__(self, sandbox, built, catches, mutant, reachers, outlived):
        self.sandbox = sandbox
        self.built = built
        self.catches = catches
        self.mutant = mutant
        self.all = len(reachers)
        left = [reacher for reacher in reachers if reacher.number not in outlived]
        self.queue = collections.deque(in_order(left, catches.likeliest(mutant)))
        self.before = self.all - len(left)
        self.ran = []
        # Failures that did not come again, and runs that the sandbox spoiled.
        self.doubtful = []

    def run(self, budget):
        """Runs tests of so many seconds, and returns what came of it as a line of results."""
        began = time.monotonic()
        found = {"status": "alive"}
        step, spent = FIRST_STEP, 0.0
        while self.queue and spent < budget and found["status"] == "alive":
            groups, seconds = self.next_groups(step)
            spent += seconds
            step = min(step * 2, LONGEST_STEP)
            for group in groups:
                found = self.one_group(group)
                if found["status"] != "alive":
                    break
        counts = {"ran": self.before + len(self.ran), "of": self.all, "seconds": round(time.monotonic() - began, 2)}
        return found | counts | {"tests": self.ran, "doubtful": self.doubtful}

    def next_groups(self, step):
        """The next tests, by their binaries, and how many seconds they take."""
        groups = collections.defaultdict(list)
        seconds = 0.0
        while self.queue and (not groups or seconds + self.queue[0].seconds <= step):
            reacher = self.queue.popleft()
            groups[reacher.test.binary].append(reacher)
            seconds += reacher.seconds
        return groups.values(), seconds

    def one_group(self, group):
        """Runs tests of one binary."""
        limit = SLOWER * sum(reacher.seconds for reacher in group) + GRACE
        ran = self.run_tests(group, limit)
        if ran.not_begun:
            self.doubtful.append(f"sandbox: {ran.output[-300:]}")
            return {"status": "alive"}
        self.ran += [reacher.number for reacher in group]
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        if ran.status is None:
            return {"status": "timeout", "by": f"{group[0].test}{more}"}
        if ran.status == 0:
            return {"status": "alive"}
        failed = named_failures(ran.output, group)
        # Once more, alone: a test that fails now and then proves nothing.
        again = self.run_tests(failed[:1] or group, limit)
        if again.status == 0 or again.not_begun:
            self.doubtful.append(str((failed or group)[0].test))
            return {"status": "alive"}
        if not failed and len(group) > 1:
            # The process itself has ended.
            return {"status": "caught", "by": f"{group[0].test}{more}", "exit": ran.status}
        catcher = (failed or group)[0]
        self.catches.add(self.mutant, catcher.number)
        return {"status": "caught", "by": str(catcher.test), "exit": ran.status}

    def run_tests(self, group, limit):
        """Runs them with the mutant switched on."""
        binary = self.built.binaries[group[0].test.binary]
        return self.sandbox.run_tests(binary, [reacher.test.name for reacher in group], self.mutant.number, limit)


def named_failures(output, group):
    """The tests of a group that the harness says have failed."""
    _, heading, failures = output.rpartition("\nfailures:\n")
    named = {line.strip() for line in failures.splitlines() if line.startswith("    ")} if heading else set()
    return [reacher for reacher in group if reacher.test.name in named]


def run(folder, built, workers, rounds):
    """Judges all mutants that are built; returns false if it was stopped."""
    reachers = reach.by_place(folder, built)
    results = known(folder)
    journal = Journal(folder.results)
    catches = earlier_catches(folder, built, results)
    table = judged()
    for mutant in built.mutants:
        if not reachers.get(mutant.base) and results[mutant.key].status is None:
            record(journal, results, mutant, {"status": "unreached"})
    for number, budget in enumerate(ROUNDS[:rounds]):
        is_last = number == len(ROUNDS) - 1
        waiting = [
            mutant
            for mutant in built.mutants
            if is_open(results[mutant.key], reachers.get(mutant.base), number, is_last)
            # Those that were judged to make no difference would outlive all of the many tests of later rounds.
            and not (number > 0 and identity(mutant) in table)
        ]
        # What only slow tests reach comes last.
        waiting.sort(key=lambda mutant: reachers[mutant.base][0].seconds)
        print(f"round {number + 1} of {rounds}: {len(waiting)} mutants, {time.strftime('%H:%M')}", flush=True)

        def one(sandbox, mutant, number=number, budget=budget):
            outlived = results[mutant.key].outlived
            trial = Trial(sandbox, built, catches, mutant, reachers[mutant.base], outlived)
            record(journal, results, mutant, {"round": number} | trial.run(budget))

        if not workers.do(waiting, one):
            return False
    return True


def record(journal, results, mutant, line):
    """Writes a result down, and knows it from now on."""
    line = {"key": mutant.key} | line
    journal.add(line)
    results[mutant.key].line = line
    results[mutant.key].outlived.update(line.get("tests", []))


def is_open(result, reachers, number, is_last):
    """Whether a mutant comes into a round. Tests may have come since it was looked at: it is, anew, if they have."""
    if not reachers:
        return False
    if result.status in (None, "unreached"):
        return True
    if result.status != "alive":
        return False
    untried = any(reacher.number not in result.outlived for reacher in reachers)
    return untried and (is_last or result.line["round"] < number)


def earlier_catches(folder, built, results):
    """What earlier runs know of neighbours."""
    numbers = {str(test): number for test, number in Tests(folder.tests).numbers.items()}
    catches = Catches()
    for mutant in built.mutants:
        line = results[mutant.key].line
        if line and line["status"] == "caught" and line["by"] in numbers:
            catches.add(mutant, numbers[line["by"]])
    return catches
