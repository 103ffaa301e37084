"""Works through jobs in several sandboxes at once, as many as people want right now."""

import collections
import sys
import threading
import time

from sandbox import Sandbox
from workspace import Failure

# A sandbox that fails so often in a row will not do any longer.
MOST_FAILURES = 5


class Workers:
    """So many sandboxes. Files in the working folder tell them to pause, to stop, or to be fewer."""

    def __init__(self, folder, most):
        self.folder = folder
        self.most = most

    def wanted(self):
        """How many may work: what the file says, at any moment."""
        try:
            return int(self.folder.workers.read_text())
        except (OSError, ValueError):
            return self.most

    def may_go_on(self, number):
        """Waits while it is the turn of nobody, or of others alone; false if all are to stop."""
        while not self.folder.stop.exists():
            if not self.folder.pause.exists() and number < self.wanted():
                return True
            time.sleep(1)
        return False

    def do(self, jobs, work):
        """Calls `work(sandbox, job)` for each, in this order; returns false if it was stopped before the last."""
        queue = collections.deque(jobs)
        trouble = []
        threads = [
            # Threads are left behind by a keyboard interrupt: their sandboxes have got it, too.
            threading.Thread(target=self.one, args=(number, queue, work, trouble), daemon=True)
            for number in range(self.most)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if trouble:
            raise trouble[0]
        return not queue

    def one(self, number, queue, work, trouble):
        """What one of them does."""
        sandbox = None
        failures = 0
        try:
            while queue and not trouble and self.may_go_on(number):
                try:
                    job = queue.popleft()
                except IndexError:
                    break
                sandbox = sandbox or Sandbox(self.folder)
                try:
                    work(sandbox, job)
                    failures = 0
                except (Failure, OSError) as problem:
                    # The job counts as not done, and comes again in the next run.
                    print(f"trouble: {problem}", file=sys.stderr, flush=True)
                    sandbox.close()
                    sandbox = None
                    failures += 1
                    if failures == MOST_FAILURES:
                        raise
        except Exception as problem:  # pylint: disable=broad-exception-caught
            trouble.append(problem)
        finally:
            if sandbox:
                sandbox.close()
