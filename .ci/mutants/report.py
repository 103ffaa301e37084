"""What came of runs, for the checkout as it is now."""

import collections

from build import dropped_keys
from judge import known
from judged import identity, judged
from sources import Instrumenter

STATUSES = ("caught", "timeout", "alive", "unreached", "open")
SURVIVE = ("alive", "unreached")


class Report:
    """The mutants of the checkout, and what is known of each; functions that have changed since are open."""

    def __init__(self, workspace, folder, chosen, files):
        done = Instrumenter(folder).run(workspace.root, chosen, files)
        dropped = dropped_keys(folder)
        self.mutants = [mutant for mutant in done.mutants if mutant.key not in dropped]
        self.refused = len(done.mutants) - len(self.mutants)
        self.results = known(folder)
        self.judged = judged()
        # Rows about what was chosen, and about no mutant: their lines were edited.
        crates = {package.crate for package in chosen}
        asked = {row for row in self.judged if row[0] in crates and (not files or any(part in row[1] for part in files))}
        self.stale = asked - {identity(mutant) for mutant in self.mutants}

    def status(self, mutant):
        """One of `STATUSES`."""
        return self.results[mutant.key].status or "open"

    def is_judged(self, mutant):
        """Whether the table says that it changes nothing that a test should notice."""
        return identity(mutant) in self.judged

    def counts(self):
        """How many there are of each status, a line for each crate."""
        found = collections.defaultdict(collections.Counter)
        for mutant in self.mutants:
            found[mutant.crate][self.status(mutant)] += 1
            if self.status(mutant) in SURVIVE and self.is_judged(mutant):
                found[mutant.crate]["judged"] += 1
        yield f"{'':16}" + "".join(f"{heading:>11}" for heading in ("mutants", *STATUSES, "judged"))
        for crate, counts in found.items():
            numbers = (sum(counts[status] for status in STATUSES), *(counts[each] for each in (*STATUSES, "judged")))
            yield f"{crate:16}" + "".join(f"{number:11}" for number in numbers)
        if self.refused:
            yield f"({self.refused} more are known not to compile)"
        if self.stale:
            yield f"({len(self.stale)} rows of judged.tsv are about no mutant any longer)"

    def listed(self, status, as_rows):
        """Mutants with a status, and those with failures that did not come again for `doubtful`."""
        chosen = [mutant for mutant in self.mutants if self.has(mutant, status)]
        left_out = [mutant for mutant in chosen if self.is_judged(mutant)] if status in SURVIVE else []
        for mutant in sorted(chosen, key=lambda mutant: (mutant.file, mutant.line, mutant.column, mutant.number)):
            if mutant in left_out:
                continue
            yield "\t".join((*identity(mutant), "")) if as_rows else f"{mutant}{self.details(mutant, status)}"
        if not as_rows:
            yield f"{len(chosen) - len(left_out)} {status}" + (f", {len(left_out)} judged" if left_out else "")

    def has(self, mutant, status):
        """Whether it is to be listed."""
        if status == "doubtful":
            line = self.results[mutant.key].line
            return bool(line and line.get("doubtful"))
        return self.status(mutant) == status

    def details(self, mutant, status):
        """What a run has to say about a mutant."""
        line = self.results[mutant.key].line or {}
        found = f"\n         outlived {line['ran']} of {line['of']} tests" if status == "alive" else ""
        found += f"\n         by {line['by']}" if "by" in line else ""
        return found + ("".join(f"\n         once: {each}" for each in line["doubtful"]) if status == "doubtful" else "")
