"""Copies of the sources, plain and with mutants; which mutants there are, and how they are known again after an edit."""

import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass

from workspace import HERE, Failure, output

SWITCH = "mutant-switch"


@dataclass(frozen=True)
class Mutant:
    """One change. `number` and `base` hold for one build, `key` as long as its function stays what it is."""

    key: str
    number: int
    base: int
    crate: str
    file: str
    line: int
    column: int
    function: str
    text: str
    kind: str
    was: str
    becomes: str

    def __str__(self):
        place = f"{self.file}:{self.line}:{self.column} {self.function}"
        return f"{self.key[:8]} {place}: {self.was} -> {self.becomes}\n         {self.text}"

    def as_json(self):
        """For `built.json`."""
        return asdict(self)


@dataclass
class Instrumented:
    """What the instrumenter answers; the lists are those of `edit::Map`."""

    mutants: list[Mutant]
    files: dict[str, str]
    alternatives: list
    places: list
    functions: list


class Instrumenter:
    """The program in `instrument/`, built when it is made."""

    def __init__(self, folder):
        manifest = HERE / "instrument" / "Cargo.toml"
        target = str(folder.instrumenter)
        command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(manifest), "--target-dir", target]
        if subprocess.run(command, check=False).returncode != 0:
            raise Failure("the instrumenter does not compile")
        self.program = folder.instrumenter / "debug" / "instrument"

    def run(self, root, packages, files, dropped=frozenset()):
        """Instruments these packages of the workspace at `root`, without the mutants that have a key in `dropped`."""
        plan = {
            "workspace": str(root),
            "crates": [{"name": package.crate, "roots": list(package.roots)} for package in packages],
            "files": list(files),
            "dropped": [],
        }
        answer = self.ask(plan)
        mutants = with_keys(root, answer["mutants"])
        kept = [mutant for mutant in mutants if mutant.key not in dropped]
        if len(kept) < len(mutants):
            plan["dropped"] = [mutant.number for mutant in mutants if mutant.key in dropped]
            answer = self.ask(plan)
        return Instrumented(kept, *(answer[name] for name in ("files", "alternatives", "places", "functions")))

    def ask(self, plan):
        """One plan, one answer."""
        done = subprocess.run([self.program], input=json.dumps(plan), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"instrumenting: {done.stderr.strip().removeprefix('error: ')}")
        return json.loads(done.stdout)


def with_keys(root, described):
    """The mutants of an answer.

    A key stands for file, function, the line's text, what was and what it becomes, which of several equal ones it is, and the
    whole text of the function: a result holds for that alone.
    """
    texts = {file: (root / file).read_bytes() for file in {each["file"] for each in described}}
    equal = collections.Counter()
    mutants = []
    for each in described:
        identity = tuple(each[name] for name in ("file", "function", "text", "was", "becomes"))
        start, end = each.pop("bytes")
        function = texts[each["file"]][start:end]
        whole = [*identity, equal[identity], hashlib.sha256(function).hexdigest()]
        equal[identity] += 1
        del each["count"]
        mutants.append(Mutant(key=hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:20], **each))
    return mutants


def take_over(workspace, folder):
    """Copies the checkout as it is now, with what is not committed and without what git ignores."""
    listed = output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], workspace.root)
    names = {name for name in listed.split("\0") if name and os.path.lexists(workspace.root / name)}
    for name in names:
        copy_one(workspace.root / name, folder.source / name)
    remove_others(folder.source, names)


def write_copy(workspace, folder, packages, instrumented):
    """Makes the copy with mutants. What is the same as before is not touched, so that cargo builds no more than it must."""
    names = all_files(folder.source)
    changed = dict(instrumented.files)
    for package in packages:
        manifest = f"{package.folder}/Cargo.toml"
        up = "../" * (package.folder.count("/") + 2)
        changed[manifest] = with_dependency((folder.source / manifest).read_text(), f"{up}{SWITCH}")
    lock = (folder.source / "Cargo.lock").read_text()
    changed["Cargo.lock"] = with_locked(lock, {package.name for package in packages})
    for name in names:
        if name in changed:
            write_if_other(folder.copy / name, changed[name].encode())
        else:
            copy_one(folder.source / name, folder.copy / name)
    remove_others(folder.copy, names)
    for name in all_files(HERE / "switch"):
        copy_one(HERE / "switch" / name, folder.switch_crate / name)
    shared = workspace.shared()
    folder.shared.unlink(missing_ok=True)
    if shared:
        folder.shared.symlink_to(shared)


def with_dependency(manifest, path):
    """A manifest that also depends on the switch."""
    line = f'{SWITCH} = {{ path = "{path}" }}\n'
    table = re.search(r"^\[dependencies\][^\n]*\n", manifest, re.MULTILINE)
    if table:
        return manifest[: table.end()] + line + manifest[table.end() :]
    return f"{manifest.rstrip()}\n\n[dependencies]\n{line}"


def with_locked(lock, packages):
    """The lock file as cargo would write it once these packages depend on the switch."""
    head, *blocks = lock.split("[[package]]\n")
    blocks = [block.rstrip("\n") for block in blocks] + [f'name = "{SWITCH}"\nversion = "0.0.0"']

    def name_of(block):
        return re.match(r'name = "([^"]*)"', block).group(1)

    for index, block in enumerate(blocks):
        if name_of(block) not in packages:
            continue
        before, listed, rest = block.partition("dependencies = [\n")
        if listed:
            names, close, rest = rest.partition("]")
            names = "".join(sorted([*names.splitlines(keepends=True), f' "{SWITCH}",\n']))
            blocks[index] = before + listed + names + close + rest
        else:
            blocks[index] = f'{block}\ndependencies = [\n "{SWITCH}",\n]'
    return head + "\n\n".join(f"[[package]]\n{block}" for block in sorted(blocks, key=name_of)) + "\n"


def fingerprint(folder):
    """Stands for every byte of the copy: what tests reach is known for that alone."""
    whole = hashlib.sha256()
    for name in sorted(all_files(folder.copy)):
        path = folder.copy / name
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        whole.update(f"{name}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()[:20]


def all_files(root):
    """Names of all files and links below a folder."""
    return {os.path.relpath(os.path.join(at, name), root) for at, _, files in os.walk(root) for name in files}


def copy_one(source, target):
    """Copies a file or link unless it is there already."""
    if source.is_symlink():
        if not (target.is_symlink() and os.readlink(target) == os.readlink(source)):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(os.readlink(source))
        return
    write_if_other(target, source.read_bytes())
    if target.stat().st_mode != source.stat().st_mode:
        shutil.copymode(source, target)


def write_if_other(target, data):
    """Writes a file unless it holds this."""
    if target.is_symlink():
        target.unlink()
    if not (target.is_file() and target.read_bytes() == data):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def remove_others(root, names):
    """Removes files that have other names."""
    for name in all_files(root) - names:
        (root / name).unlink()
