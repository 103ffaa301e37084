#!/usr/bin/env python3
"""Tests of what can be tested without a build: `.ci/mutants/tests.py`."""

import collections
import sys
import tempfile
import types
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

import build
import judge
import judged
import report
import sources
from journal import Journal, Test, Tests, lines
from reach import Reacher, wants
from sandbox import Ran
from workspace import Failure, Folder


def described(text="a == b", start=0, end=10, file="a.rs", number=1):
    """A mutant as the instrumenter describes it."""
    return {
        "number": number, "base": 1, "count": 1, "crate": "own", "file": file, "line": 1, "column": 1, "function": "f",
        "text": text, "kind": "operator", "was": "==", "becomes": "!=", "bytes": [start, end],
    }  # fmt: skip


def reacher(number, seconds=1.0, places=1):
    """A test that comes by a place."""
    return Reacher(number, Test("own/unit", f"test_{number}"), seconds, places)


class Keys(unittest.TestCase):
    """How mutants are known again."""

    def keys(self, text, *mutants):
        """Keys of mutants of a file with this text."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.rs").write_text(text)
            return [mutant.key for mutant in sources.with_keys(Path(folder), list(mutants))]

    def test_other_functions_and_numbers_make_no_difference(self):
        before = self.keys("fn f() { }", described())
        self.assertEqual(before, self.keys("fn gg; fn f() { }", described(start=7, end=17, number=9)))

    def test_the_functions_text_does(self):
        self.assertNotEqual(self.keys("fn f() { }", described()), self.keys("fn f() {; ", described()))

    def test_equal_ones_are_told_apart(self):
        self.assertEqual(len(set(self.keys("fn f() { }", described(), described(number=2)))), 2)


class Manifests(unittest.TestCase):
    """What is added to the copy's manifests."""

    def test_a_table_gets_a_line(self):
        text = sources.with_dependency("[package]\nname = 1\n[dependencies] # ours\na = 1\n", "../x")
        self.assertEqual(text, '[package]\nname = 1\n[dependencies] # ours\nmutant-switch = { path = "../x" }\na = 1\n')

    def test_a_manifest_without_one_gets_it(self):
        text = sources.with_dependency("[package]\nname = 1\n", "../x")
        self.assertTrue(text.endswith('\n\n[dependencies]\nmutant-switch = { path = "../x" }\n'))

    def test_the_lock_file_is_as_cargo_writes_it(self):
        lock = 'version = 4\n\n[[package]]\nname = "a"\nversion = "1"\ndependencies = [\n "memchr",\n "zstd",\n]\n\n'
        lock += '[[package]]\nname = "zstd"\nversion = "1"\n'
        expected = lock.replace(' "zstd",', ' "mutant-switch",\n "zstd",').replace(
            '[[package]]\nname = "zstd"', '[[package]]\nname = "mutant-switch"\nversion = "0.0.0"\n\n[[package]]\nname = "zstd"'
        )
        expected = expected[:-1] + '\ndependencies = [\n "mutant-switch",\n]\n'
        self.assertEqual(sources.with_locked(lock, {"a", "zstd"}), expected)


class Copies(unittest.TestCase):
    """What is copied stays untouched as long as it is the same."""

    def test_only_what_is_other_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "source"), Path(folder, "target")
            source.write_text("a")
            source.chmod(0o755)
            sources.copy_one(source, target)
            stamp = target.stat()
            sources.copy_one(source, target)
            self.assertEqual((target.stat().st_mtime_ns, target.stat().st_mode & 0o777), (stamp.st_mtime_ns, 0o755))
            source.write_text("b")
            sources.copy_one(source, target)
            self.assertEqual(target.read_text(), "b")


class Errors(unittest.TestCase):
    """Whom the compiler's errors are blamed on."""

    def setUp(self):
        self.blame = build.Blame(
            types.SimpleNamespace(
                alternatives=[["a.rs", 10, 20, 1], ["a.rs", 12, 15, 2]],
                places=[["a.rs", 5, 30, 1, 2], ["a.rs", 40, 50, 3, 1]],
                functions=[["a.rs", 0, 100, 1, 4]],
            )
        )

    def of(self, start, end, refused=()):
        """Those who are blamed for an error at these bytes."""
        span = {"is_primary": True, "file_name": "a.rs", "byte_start": start, "byte_end": end}
        return self.blame.of({"spans": [span], "children": []}, dict.fromkeys(refused))

    def test_the_innermost_text(self):
        self.assertEqual(self.of(13, 14), {2})
        self.assertEqual(self.of(10, 14), {1})

    def test_or_the_place_unless_it_was_blamed_already(self):
        self.assertEqual(self.of(5, 8), {1, 2})
        self.assertEqual(self.of(5, 8, refused=(1, 2)), {1, 2, 3})

    def test_or_what_is_within_or_the_function(self):
        self.assertEqual(self.of(39, 60), {3})
        self.assertEqual(self.of(60, 61), {1, 2, 3})
        self.assertEqual(self.of(200, 201), set())


class Order(unittest.TestCase):
    """Which tests come first, and which mutants come into a round."""

    def test_likely_then_fast_and_narrow_by_turns(self):
        all_tests = [reacher(1, 1.0, 9), reacher(2, 2.0, 5), reacher(3, 3.0, 1), reacher(4, 4.0, 7)]
        found = [each.number for each in judge.in_order(all_tests, [4, 8])]
        self.assertEqual(found, [4, 1, 3, 2])

    def test_rounds(self):
        alive = judge.Known({"status": "alive", "round": 1}, {1})
        self.assertFalse(judge.is_open(alive, [reacher(1), reacher(2)], 1, False))
        self.assertTrue(judge.is_open(alive, [reacher(1), reacher(2)], 2, False))
        self.assertFalse(judge.is_open(alive, [reacher(1)], 2, False))
        self.assertTrue(judge.is_open(judge.Known({"status": "alive", "round": 3}, {1}), [reacher(2)], 3, True))
        self.assertTrue(judge.is_open(judge.Known({"status": "unreached"}), [reacher(1)], 0, False))
        self.assertFalse(judge.is_open(judge.Known({"status": "caught"}), [reacher(1)], 0, False))
        self.assertFalse(judge.is_open(judge.Known(), [], 0, False))

    def test_tests_that_failed_are_run_once_more(self):
        self.assertTrue(wants(None, 0))
        self.assertFalse(wants({"status": "failed", "attempt": 0}, 0))
        self.assertTrue(wants({"status": "failed", "attempt": 0}, 1))
        self.assertFalse(wants({"status": "failed", "attempt": 1}, 1))
        self.assertFalse(wants({"status": "passed", "attempt": 0}, 1))


class FakeSandbox:
    """Answers as it is told; keeps what it was asked."""

    def __init__(self, *statuses, output=""):
        self.statuses = list(statuses)
        self.output = output
        self.asked = []

    def run_tests(self, _binary, tests, _active, _seconds):
        """One run."""
        self.asked.append(tests)
        return Ran(self.statuses.pop(0), 0.1, 0.1, self.output, [])


class Trials(unittest.TestCase):
    """What a mutant's tests make of it."""

    FAILURE = "\nfailures:\n    test_2\n\ntest result: FAILED"

    def trial(self, sandbox, budget=100.0):
        """One trial with three tests."""
        built = types.SimpleNamespace(binaries={"own/unit": None})
        mutant = types.SimpleNamespace(file="a.rs", function="f", number=1)
        tests = [reacher(1, 0.1), reacher(2, 0.1), reacher(3, 60.0)]
        return judge.Trial(sandbox, built, judge.Catches(), mutant, tests, set()).run(budget)

    def test_a_failure_that_comes_again_catches(self):
        sandbox = FakeSandbox(101, 101, output=self.FAILURE)
        line = self.trial(sandbox)
        self.assertEqual((line["status"], line["by"]), ("caught", "own/unit test_2"))
        self.assertEqual(sandbox.asked, [["test_1", "test_2"], ["test_2"]])

    def test_one_that_does_not_is_doubtful(self):
        line = self.trial(FakeSandbox(101, 0, 0, output=self.FAILURE))
        self.assertEqual((line["status"], line["ran"], line["doubtful"]), ("alive", 3, ["own/unit test_2"]))

    def test_a_process_that_ends_catches(self):
        line = self.trial(FakeSandbox(-6, -6))
        self.assertEqual((line["status"], line["by"]), ("caught", "own/unit test_1 and 1 more"))

    def test_an_endless_loop_is_a_timeout(self):
        self.assertEqual(self.trial(FakeSandbox(None))["status"], "timeout")

    def test_a_round_has_an_end(self):
        line = self.trial(FakeSandbox(0), budget=0.1)
        self.assertEqual((line["status"], line["ran"], line["of"], line["tests"]), ("alive", 2, 3, [1, 2]))

    def test_what_the_sandbox_spoils_counts_for_nothing(self):
        line = self.trial(FakeSandbox(99, 0))
        self.assertEqual((line["status"], line["tests"]), ("alive", [3]))


class Files(unittest.TestCase):
    """Journals, numbers of tests, the table, the working folder."""

    def test_half_a_line_is_left_out_and_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "lines")
            path.write_text('{"a": 1}\n{"a":')
            Journal(path).add({"a": 2})
            self.assertEqual(lines(path), [{"a": 1}, {"a": 2}])

    def test_numbers_of_tests_last(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tests")
            first, second = Test("own/unit", "a"), Test("own/unit", "b")
            self.assertEqual([Tests(path).number(first), Tests(path).number(second)], [0, 1])
            self.assertEqual([Tests(path).number(second), Tests(path).all], [1, [first, second]])

    def test_the_table_is_well_formed(self):
        judged.judged()

    def test_the_table_leaves_out_and_is_counted(self):
        mutant = sources.with_keys(Path("/dev"), [described(file="null", end=0)])[0]
        other = sources.with_keys(Path("/dev"), [described(file="null", end=0, text="c == d")])[0]
        found = object.__new__(report.Report)
        found.mutants = [mutant, other]
        found.refused = 0
        found.stale = set()
        found.judged = {judged.identity(mutant)}
        found.results = collections.defaultdict(judge.Known)
        for each in found.mutants:
            found.results[each.key].line = {"status": "alive", "ran": 1, "of": 2}
        listed = list(found.listed("alive", as_rows=False))
        self.assertIn("c == d", listed[0])
        self.assertEqual(listed[1:], ["1 alive, 1 judged"])
        self.assertEqual(list(found.counts())[1].split(), ["own", "2", "0", "0", "2", "0", "0", "1"])

    def test_the_working_folder_is_not_where_tests_have_theirs(self):
        with self.assertRaises(Failure):
            Folder("/tmp/mutants")


if __name__ == "__main__":
    unittest.main()
