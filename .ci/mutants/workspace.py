"""The checkout with its crates, and the working folder that everything else is written to."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Failure(Exception):
    """What ends a command: its text is the one line that is printed."""


@dataclass(frozen=True)
class Package:
    """A package of the workspace; `crate` is the name of its folder, by which people call it."""

    name: str
    crate: str
    folder: str
    roots: tuple[str, ...]
    depends_on: frozenset[str]


@dataclass(frozen=True)
class Workspace:
    """The checkout that these scripts lie in."""

    root: Path
    packages: tuple[Package, ...]

    @classmethod
    def find(cls):
        """Asks git where the checkout begins, and cargo what is in it."""
        root = Path(output(["git", "rev-parse", "--show-toplevel"], HERE))
        metadata = json.loads(output(["cargo", "metadata", "--no-deps", "--format-version=1"], root))
        packages = (as_package(root, package) for package in metadata["packages"])
        # Benches and examples lie elsewhere: nothing of theirs is worth changing, and they have few tests.
        return cls(root, tuple(package for package in packages if package.folder.startswith("crates/")))

    def chosen(self, crates):
        """The packages with these names of crates; all that are shipped if there are none."""
        known = {package.crate: package for package in self.packages}
        unknown = sorted(set(crates) - set(known))
        if unknown:
            raise Failure(f"there is no crate {unknown[0]}; there are: {', '.join(sorted(known))}")
        if crates:
            return [package for package in self.packages if package.crate in crates]
        return [package for package in self.packages if package.crate not in ("testkit", "fuzzkit")]

    def with_tests_of(self, chosen):
        """Those whose tests may come by a chosen package: itself, and whatever depends on it."""
        found = {package.name for package in chosen}
        before = 0
        while len(found) > before:
            before = len(found)
            found |= {package.name for package in self.packages if package.depends_on & found}
        return [package for package in self.packages if package.name in found]

    def shared(self):
        """The folder `shared` beside the checkout, or beside the one that this is a worktree of."""
        common = Path(output(["git", "rev-parse", "--path-format=absolute", "--git-common-dir"], self.root))
        beside = (self.root.parent / "shared", common.parent.parent / "shared")
        return next((folder for folder in beside if folder.is_dir()), None)


def as_package(root, package):
    """A package as `cargo metadata` describes it."""
    folder = Path(package["manifest_path"]).parent
    roots = [target["src_path"] for target in package["targets"] if not {"lib", "bin"}.isdisjoint(target["kind"])]
    return Package(
        name=package["name"],
        crate=folder.name,
        folder=str(folder.relative_to(root)),
        roots=tuple(str(Path(path).relative_to(root)) for path in roots),
        depends_on=frozenset(each["name"] for each in package["dependencies"] if each.get("path")),
    )


def output(command, folder):
    """What a command prints; its complaint is the failure."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure(f"{command[0]} must be on PATH") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


class Folder:
    """The working folder. All of it but `results.jsonl` can be made again."""

    def __init__(self, path):
        self.path = Path(path).resolve()
        # The sandbox has folders of its own in these places.
        for hidden in ("/tmp", "/var/tmp", "/dev/shm"):
            if self.path.is_relative_to(hidden):
                raise Failure(f"the working folder must not lie in {hidden}, which tests get an empty one of")
        # What is tested: a copy of the checkout as it is, one with mutants, and what both are built into.
        self.source = self.path / "source"
        self.copy = self.path / "copy" / "workspace"
        self.switch_crate = self.path / "copy" / "mutant-switch"
        self.shared = self.path / "copy" / "shared"
        self.target = self.path / "target"
        self.instrumenter = self.path / "instrumenter"
        # Empty; the sandbox puts a folder here that tells processes which mutant is on.
        self.switch = self.path / "switch"
        # What is known.
        self.built = self.path / "built.json"
        self.cargo_log = self.path / "cargo.log"
        self.dropped = self.path / "dropped.jsonl"
        self.tests = self.path / "tests.jsonl"
        self.reach = self.path / "reach.jsonl"
        self.results = self.path / "results.jsonl"
        # What people tell a run.
        self.lock = self.path / "lock"
        self.pause = self.path / "pause"
        self.stop = self.path / "stop"
        self.workers = self.path / "workers"

    def make(self):
        """Creates it."""
        for folder in (self.source, self.copy, self.switch_crate, self.target / "tmp", self.switch):
            folder.mkdir(parents=True, exist_ok=True)

    def forget(self):
        """Forgets whatever came of earlier runs; what is built stays."""
        for file in (self.dropped, self.tests, self.reach, self.results):
            file.unlink(missing_ok=True)
