"""Runs tests where they can harm nothing, however wrong the program under test has become.

A sandbox is a process of its own (this file, run as a program) with mount and network namespaces of its own: every file system is
read-only, disks are gone, no network but loopback. Each run of tests gets namespaces for mounts and processes on top of that, with
empty folders for temporary files in memory, and limits for memory and for the size of files; at its end all its processes are killed.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from workspace import Failure

# How the shell below says that a run could not even begin.
NOT_BEGUN = 99
# So much of what tests print is kept, from the end.
KEPT_OUTPUT = 60_000
DISKS = ("vd", "sd", "xvd", "nvme", "dm-", "mem", "kmem", "port")

ONE_RUN = """
mount -t tmpfs -o size=4g,mode=1777 tmp /tmp &&
    mount -t tmpfs -o size=2g,mode=1777 tmp /var/tmp &&
    mount -t tmpfs -o size=2g,mode=1777 tmp /dev/shm &&
    mount -t tmpfs -o size=2g,mode=1777 tmp "$1" &&
    mkdir -p /tmp/home && cd "$2" || exit 99
shift 2
prlimit --fsize=2147483648 --as=6442450944 --core=0 "$@"
"""


@dataclass(frozen=True)
class Binary:
    """A program of tests, and the folder that it expects to be run in."""

    program: str
    folder: str


@dataclass
class Ran:
    """What came of a run. `status` is that of the program, or None if it took too long; `seconds` are those that it could run."""

    status: int | None
    seconds: float
    cpu_seconds: float
    output: str
    reached: list[int]

    @property
    def not_begun(self):
        """True if the sandbox is at fault."""
        return self.status == NOT_BEGUN


def require():
    """Fails where there can be no sandbox."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Failure("mutants need a sandbox, and root on Linux to make it")
    for program in ("unshare", "mount", "prlimit", "ip"):
        if not shutil.which(program):
            raise Failure(f"mutants need a sandbox, and {program} on PATH to make it")
    trial = ["unshare", "-m", "-n", "-p", "-f", "--propagation", "private", "--mount-proc", "true"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"mutants need a sandbox, which is not allowed here: {done.stderr.strip()}")


class Sandbox:
    """A sandbox, as the process that makes it sees it."""

    def __init__(self, folder):
        command = ["unshare", "-m", "-n", "--propagation", "private", sys.executable, "-B", os.path.abspath(__file__)]
        self.process = subprocess.Popen(
            [*command, str(folder.switch), str(folder.target / "tmp"), str(folder.copy)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def run(self, binary, arguments, active, seconds):
        """Runs a binary while `active` is on: a mutant's number, 0 for none, or `reach`."""
        job = {
            "program": binary.program,
            "folder": binary.folder,
            "arguments": arguments,
            "active": str(active),
            "seconds": seconds,
        }
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure("a sandbox has ended")
        return Ran(**json.loads(answer))

    def run_tests(self, binary, tests, active, seconds):
        """Runs the tests with these names, one after the other."""
        return self.run(binary, ["--exact", "--test-threads=1", *tests], active, seconds)

    def close(self):
        """Ends it, and whatever runs in it."""
        self.process.kill()
        self.process.wait()


# ---------------------------------------------------------------- inside


def close_up(switch, must_be_read_only):
    """Makes this process's view of the system harmless. Nothing is run unless that has worked."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        points = [line.split()[4].replace("\\040", " ") for line in mounts]
    for point in points:
        if point not in ("/proc", "/dev") and not point.startswith(("/proc/", "/dev/")):
            # Those below others cannot be found any longer, by anybody.
            command = ["mount", "-o", "remount,ro,bind", point]
            subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    for device in os.listdir("/dev"):
        if device.startswith(DISKS):
            subprocess.run(["mount", "--bind", "/dev/null", f"/dev/{device}"], check=True)
    for path in ("/", *must_be_read_only):
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            sys.exit(f"error: {path} is not read-only in the sandbox")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "switch", switch], check=True)


def serve(switch, temporary, copy):
    """Answers jobs, a line each, until there are no more."""
    close_up(switch, (temporary, copy))
    for line in sys.stdin:
        print(json.dumps(one_job(switch, temporary, json.loads(line))), flush=True)


def one_job(switch, temporary, job):
    """Runs one program in namespaces of its own."""
    # Programs may run as other users, who note places as well.
    for name, mode, text in (("active", 0o644, job["active"]), ("reached", 0o666, "")):
        with open(f"{switch}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(f"{switch}/{name}", mode)
    kept = ("PATH", "LANG", "USER", "LOGNAME", "TERM")
    environment = {name: value for name, value in os.environ.items() if name in kept} | {
        "HOME": "/tmp/home",
        "TMPDIR": "/tmp",
        "RUST_BACKTRACE": "0",
        "CARGO": shutil.which("cargo") or "cargo",
        "CARGO_MANIFEST_DIR": job["folder"],
    }
    unshare = ["unshare", "-m", "-p", "-f", "--propagation", "private", "--mount-proc", "--kill-child"]
    command = [*unshare, "sh", "-c", ONE_RUN, "sh", temporary, job["folder"], job["program"], *job["arguments"]]
    cpu_before = cpu_seconds()
    with open(f"{switch}/output", "wb+") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        status, seconds = wait(process, job["seconds"])
        output.seek(max(0, output.seek(0, os.SEEK_END) - KEPT_OUTPUT))
        text = output.read().decode(errors="replace")
    reached = b""
    if job["active"] == "reach":
        with open(f"{switch}/reached", "rb") as file:
            reached = file.read()
    places = {int.from_bytes(reached[at : at + 4], "little") for at in range(0, len(reached) - 3, 4)}
    return {
        "status": status,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds() - cpu_before, 3),
        "output": text,
        "reached": sorted(places),
    }


def wait(process, seconds):
    """Waits for a process, and kills it when its time is over.

    Time is counted in steps: while all of this is stopped by a signal, none goes by.
    """
    spent = 0.0
    while True:
        began = time.monotonic()
        try:
            status = process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
        spent += min(time.monotonic() - began, 1.0)
        if status is not None:
            return status, spent
        if spent > seconds:
            process.kill()
            process.wait()
            return None, spent


def cpu_seconds():
    """What all children that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    # Ended with the rest, without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(*sys.argv[1:])
