#!/usr/bin/env python3
"""Makes golden repositories with the kopia on PATH.

    make-golden.py --out DIR [--kopia PATH] [--only NAME ...] [--as NAME] [--list]

Writes DIR/repos/NAME/repo, DIR/repos/NAME/case.json and DIR/trees/TREE.jsonl, in the form of golden/README.md. Nothing that
exists is overwritten; a tree whose name stands for other contents becomes TREE.2. Run it as root: the trees have owners, and
files that nobody may read. Names, contents, modes and times of the trees are the same in every run; what kopia makes of
them has fresh keys and is never the same twice.

kopia runs with a home, configuration and cache of its own in a temporary folder.
"""

import argparse
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

PASSWORD = "golden"
SECOND = 1_000_000_000


# ---------------------------------------------------------------- source trees


def noise(seed, size):
    """Bytes that do not compress, always the same for a seed."""
    return hashlib.shake_256(seed.encode()).digest(size)


def text(seed, size):
    """Bytes that compress well."""
    lines = []
    length = 0
    while length < size:
        mark = hashlib.sha256(f"{seed}{len(lines)}".encode()).hexdigest()
        lines.append(f"2024-01-02T03:04:05Z INFO {seed}: request {len(lines)} took {mark[:3]} ms, trace {mark[3:11]}\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


class Source:
    """Builds a tree. Modes, owners and times are set by settle(), deepest first, when all is there."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        self.wanted = {}
        os.makedirs(self.root)
        self.want(b"", 0o755, 1700000000 * SECOND)

    def path(self, name):
        return os.path.join(self.root, name) if name else self.root

    def want(self, name, mode, mtime, owner=(0, 0)):
        self.wanted[name] = (mode, mtime, owner)

    def folder(self, name, mode=0o755, mtime=1700000000 * SECOND, owner=(0, 0)):
        name = os.fsencode(name)
        os.makedirs(self.path(name), exist_ok=True)
        self.want(name, mode, mtime, owner)

    def file(self, name, data=b"", mode=0o644, mtime=1700000000 * SECOND, owner=(0, 0)):
        name = os.fsencode(name)
        with open(self.path(name), "wb") as file:
            file.write(data)
        self.want(name, mode, mtime, owner)

    def link(self, name, target, mtime=1700000000 * SECOND, owner=(0, 0)):
        name = os.fsencode(name)
        os.symlink(os.fsencode(target), self.path(name))
        self.want(name, None, mtime, owner)

    def settle(self):
        for name, (mode, mtime, owner) in sorted(self.wanted.items(), key=lambda item: (-item[0].count(b"/"), item[0] == b"")):
            path = self.path(name)
            os.chown(path, *owner, follow_symlinks=False)
            if mode is not None:
                os.chmod(path, mode)
            os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


def small(source):
    source.want(b"", 0o755, 1657000000 * SECOND)
    source.file("hello.txt", b"hello, golden!\n", mtime=1600000000 * SECOND + 123456789)
    source.file("empty", mode=0o600, mtime=1500000000 * SECOND + 1)
    source.file("text.log", text("small", 60000), 0o640, 1650000000 * SECOND, (1234, 5678))
    source.file("random.bin", noise("small", 50000), 0o755, 1651000000 * SECOND + 987654321)
    source.folder("sub", mtime=1656000000 * SECOND, owner=(1234, 5678))
    source.file("sub/zeros", bytes(33333), 0o444, 1652000000 * SECOND)
    source.folder("sub/deeper", 0o750, 1655000000 * SECOND + 500000000)
    source.file("sub/deeper/mixed", noise("mixed", 9000) + text("mixed", 9000), 0o600, 1653000000 * SECOND)
    source.link("sub/link", "../hello.txt", 1654000000 * SECOND)


def chunked(source):
    """More than one piece even at 128 KiB: files, holes, and a directory of that size."""
    source.want(b"", 0o755, 1615000000 * SECOND)
    source.file("big-random.bin", noise("big", 700000), mtime=1611000000 * SECOND)
    source.file("big-text.log", text("big", 900000), mtime=1612000000 * SECOND)
    source.file("copy-of-random.bin", noise("big", 700000), mtime=1613000000 * SECOND)
    sparse = bytearray(2000000)
    sparse[1000000:1000006] = b"middle"
    source.file("sparse.img", sparse, mtime=1614000000 * SECOND)
    source.folder("many", mtime=1610000000 * SECOND)
    for i in range(1100):
        mark = hashlib.sha256(f"entry {i}".encode()).hexdigest()[:8]
        source.file(f"many/entry-{i:05}-{mark}.txt", f"{i}\n".encode(), mtime=1600000000 * SECOND + i)


NAMES = [
    b"not-utf8-\xff\xfe", "ünïcödé.txt", "日本語.txt", "emoji-🦀", " leading and trailing ", "quote\"'`", "back\\slash",
    "new\nline", "tab\there", "-rf", "--help", "~", "$HOME", "*", "a" * 255, "é" * 127, "..hidden", "...", "CON", "nul.txt",
    "<html>&amp;", "\u2028line", "\u0001ctrl",
]


def tricky(source):
    source.want(b"", 0o1777, 1700000000 * SECOND + 9, (1000, 1000))
    source.folder("names", mtime=1700000000 * SECOND + 5)
    for i, name in enumerate(NAMES):
        source.file(b"names/" + os.fsencode(name), f"name {i}".encode(), mtime=1700000000 * SECOND + i)
    source.folder("modes", mtime=1700000000 * SECOND + 5)
    for mode in (0o0, 0o222, 0o400, 0o644, 0o777, 0o1644, 0o2755, 0o4755, 0o6755):
        source.file(f"modes/f{mode:05o}", f"{mode:o}\n".encode(), mode)
    for mode in (0o0, 0o500, 0o700, 0o1777, 0o2775, 0o3777):
        source.folder(f"modes/d{mode:05o}", mode)
        source.file(f"modes/d{mode:05o}/inside", b"x")
    source.folder("owners", mtime=1700000000 * SECOND + 5)
    for owner in ((0, 0), (1, 2), (1000, 100), (65534, 65534), (2000000000, 2000000001)):
        source.file(f"owners/{owner[0]}-{owner[1]}", mode=0o6750, owner=owner)
    source.folder("times", mtime=1700000000 * SECOND + 5)
    for time in (-1500000000, -1, 0, 1, 999999999, SECOND, 123456789123456789, 4102444800 * SECOND, 8446743359966666666):
        source.file(f"times/t{time}", mtime=time)
    source.folder("links", mtime=1700000000 * SECOND + 5)
    links = {"abs": "/etc/passwd", "dangling": "nowhere", "dir": "../modes", "dot": ".", "self": "self", "utf8": "日本語"}
    links.update(up="../../../../..", long="x/" * 1000 + "x")
    for name, target in links.items():
        source.link(f"links/{name}", target, 1700000000 * SECOND + 77)
    source.link("links/rel", "../names/~", 1700000000 * SECOND + 77, (4321, 8765))
    source.folder("empty-dir", 0o711, 1000000000 * SECOND + 123456789)
    deep = "deep"
    source.folder(deep, mtime=1700000000 * SECOND + 5)
    for level in range(60):
        deep += f"/level{level:02}"
        source.folder(deep, mtime=1700000000 * SECOND + 3)
    source.file(deep + "/bottom", b"bottom\n", 0o600)


def grown(name, steps):
    """The small tree after some changes: one more file each, another hello.txt."""

    def build(source):
        small(source)
        source.want(b"", 0o755, 1662000000 * SECOND + steps)
        source.file("hello.txt", f"hello, step {steps}\n".encode(), 0o600, 1660000000 * SECOND + steps)
        for step in range(1, steps + 1):
            source.file(f"added-{step}.txt", noise(f"{name} {step}", 3000), mtime=1661000000 * SECOND)

    return build


def tree_builder(tree):
    if tree in ("small", "chunked", "tricky"):
        return {"small": small, "chunked": chunked, "tricky": tricky}[tree]
    name, _, steps = tree.rpartition("-")
    return grown(name, int(steps))


# ---------------------------------------------------------------- trees, as lines


def as_kopia_writes(name):
    """kopia stores U+FFFD for each byte that is not UTF-8."""
    return re.sub("[\udc80-\udcff]", "\ufffd", name)


def lines(root):
    """One line an entry, sorted by path; read through handles, so that depth does not matter."""
    found = []

    def add(path, status, **more):
        entry = {"path": as_kopia_writes(path)}
        if not stat.S_ISLNK(status.st_mode):
            entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
        entry.update(uid=status.st_uid, gid=status.st_gid, mtime_ns=status.st_mtime_ns, **more)
        found.append(entry)

    def walk(handle, path):
        add(path, os.fstat(handle), type="dir")
        for name in os.listdir(handle):
            below = f"{path}/{name}" if path else name
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                target = as_kopia_writes(os.readlink(name, dir_fd=handle))
                add(below, status, type="symlink", target=target)
                continue
            child = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=handle)
            try:
                if stat.S_ISDIR(status.st_mode):
                    walk(child, below)
                else:
                    with open(child, "rb", closefd=False) as file:
                        digest = hashlib.sha256(file.read()).hexdigest()
                    add(below, status, type="file", size=status.st_size, sha256=digest)
            finally:
                os.close(child)

    handle = os.open(root, os.O_RDONLY)
    try:
        walk(handle, "")
    finally:
        os.close(handle)
    found.sort(key=lambda entry: entry["path"])
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in found)


# ---------------------------------------------------------------- the table of cases


def snapshot(source, tree, *args, **more):
    return {"source": source, "tree": tree, "args": list(args), **more}


MOVER = "mover@volsync-system:/data"
APP = "app@ns:/data"
SHARDS = {"default": [2, 2], "maxNonShardedLength": 10, "overrides": [{"prefix": "q", "shards": [4]}, {"prefix": "x", "shards": []}]}
COMPRESSIONS = """deflate-best-compression deflate-best-speed deflate-default gzip gzip-best-compression gzip-best-speed lz4
    pgzip pgzip-best-compression pgzip-best-speed s2-better s2-default s2-parallel-4 s2-parallel-8
    zstd zstd-best-compression zstd-better-compression zstd-fastest""".split()
HASHES = """BLAKE2B-256 BLAKE2B-256-128 BLAKE2S-128 BLAKE2S-256 BLAKE3-256 BLAKE3-256-128 HMAC-SHA224 HMAC-SHA256
    HMAC-SHA256-128 HMAC-SHA3-224 HMAC-SHA3-256""".split()


def cases():
    """NAME: about, the flags of create, the snapshots, and what happens around them."""
    table = {}

    def case(name, about, create=(), snapshots=None, **more):
        table[name] = dict(about=about, create=list(create), snapshots=snapshots or [snapshot(MOVER, "small")], **more)

    for algorithm in HASHES:
        case(f"hash-{algorithm.lower()}", f"content hash {algorithm}", [f"--block-hash={algorithm}"])
    for name, algorithm in (("aes256-gcm", "AES256-GCM-HMAC-SHA256"), ("chacha20-poly1305", "CHACHA20-POLY1305-HMAC-SHA256")):
        case(f"enc-{name}", f"encryption {algorithm}", [f"--encryption={algorithm}"])
    for algorithm in COMPRESSIONS:
        about = f"compression {algorithm} for files and metadata"
        if algorithm == "lz4":
            about += "; kopia after 0.22.3 refuses it"
        case(f"comp-{algorithm}", about, policy=[f"--compression={algorithm}", f"--metadata-compression={algorithm}"])
    for percent in (1, 2, 5, 10, 33, 50, 100):
        ecc = ["--ecc=REED-SOLOMON-CRC32", f"--ecc-overhead-percent={percent}"]
        case(f"ecc-{percent}", f"Reed-Solomon error correction, {percent} % overhead", ecc)
    ecc = ["--ecc=REED-SOLOMON-CRC32", "--ecc-overhead-percent=15"]
    case("ecc-chacha-zstd", "ECC with ChaCha20 and zstd",
         [*ecc, "--encryption=CHACHA20-POLY1305-HMAC-SHA256", "--block-hash=BLAKE3-256"], policy=["--compression=zstd"])
    case("kdf-pbkdf2", "format key by pbkdf2-sha256-600000",
         ["--format-block-key-derivation-algorithm=pbkdf2-sha256-600000"])
    case("password-changed", "password changed after the first snapshot", snapshots=[snapshot(APP, "small")],
         new_password="changed päss")

    for version in (1, 2, 3):
        trees = ["small", f"format-v{version}-1", f"format-v{version}-2"]
        case(f"format-v{version}", f"repository format version {version}, several snapshots", [f"--format-version={version}"],
             [snapshot(APP, tree) for tree in trees])
    case("format-v1-compressed", "format version 1 with Z (object-level) compression", ["--format-version=1"],
         [snapshot(APP, "chunked")], policy=["--compression=zstd"])
    case("upgraded-v1-to-v2", "written as format 1, upgraded in place, then written again", ["--format-version=1"],
         [snapshot(APP, "small"), snapshot(APP, "upgraded-v1-to-v2-1")],
         between={1: [["repository", "set-parameters", "--upgrade"]]})

    for name, splitter, compression in (
        ("fixed-128k", "FIXED-128K", None), ("rabinkarp-128k", "DYNAMIC-128K-RABINKARP", None),
        ("buzhash-128k-zstd", "DYNAMIC-128K-BUZHASH", "zstd"), ("s2", "DYNAMIC-128K-BUZHASH", "s2-better"),
    ):
        policy = [f"--compression={compression}"] if compression else None
        case(f"split-{name}", f"{splitter}, {compression or 'not compressed'}: indirect files and directories",
             [f"--object-splitter={splitter}"], [snapshot(MOVER, "chunked")], policy=policy)
    case("split-z-v1", "format 1: compressed (Z) pieces inside split (I) objects",
         ["--format-version=1", "--object-splitter=FIXED-128K"], [snapshot(MOVER, "chunked")], policy=["--compression=zstd"])

    case("layout-flat", "flat layout, no shards", ["--flat"])
    case("layout-shards", "hand-written .shards with an override", shards=SHARDS)
    case("tricky", "names, modes, owners, times, links", snapshots=[snapshot(MOVER, "tricky")])
    case("sources", "several users, hosts and paths in one repository; tags, pins, a single-file snapshot", snapshots=[
        snapshot("app@media:/data", "small", "--description=first", "--start-time=2026-01-02 03:04:05 UTC",
                 "--end-time=2026-01-02 03:05:00 UTC", "--tags=env:prod"),
        snapshot("app@media:/data", "sources-1", "--start-time=2026-02-02 03:04:05 UTC",
                 "--end-time=2026-02-02 03:05:00 UTC", "--pin=keep"),
        snapshot("app@media:/data", "sources-2", "--start-time=2026-03-02 03:04:05 UTC",
                 "--end-time=2026-03-02 03:05:00 UTC"),
        snapshot("app-src@media:/data", "sources-2"),
        snapshot("db@media:/var/lib/db", "chunked"),
        snapshot("app@other:/data", "sources-2"),
        snapshot("app@media:/data/hello.txt", "sources-2", file="hello.txt"),
    ])
    case("era", "written with default settings by whatever kopia this is", ["--override-username=app", "--override-hostname=ns"],
         [snapshot("", "small"), snapshot("", "era-1")])
    for version in (1, 3):
        trees = ["small", f"maintained-v{version}-1", f"maintained-v{version}-2"]
        case(f"maintained-v{version}", f"format {version} after deletions, rewrites and full maintenance",
             [f"--format-version={version}"],
             [snapshot(APP, tree, **({"expired": True} if tree != trees[-1] else {})) for tree in trees],
             after=[["maintenance", "run", "--full", "--safety=none"]] * 2)
    return table


# ---------------------------------------------------------------- running kopia


class Kopia:
    """One repository, and a configuration of its own."""

    def __init__(self, binary, home):
        self.binary = binary
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("KOPIA_", "XDG_"))}
        self.environment.update(
            HOME=str(home),
            KOPIA_CONFIG_PATH=str(home / "repository.config"),
            KOPIA_CACHE_DIRECTORY=str(home / "cache"),
            KOPIA_LOG_DIR=str(home / "logs"),
            KOPIA_CHECK_FOR_UPDATES="false",
            KOPIA_USE_KEYRING="false",
            KOPIA_PASSWORD=PASSWORD,
        )

    def __call__(self, *args):
        done = subprocess.run([self.binary, *args], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise Failed(f"kopia {' '.join(args[:2])}: {' '.join(said)}")
        return done.stdout

    def listed(self):
        """The part of `snapshot list` that tests compare with."""
        manifests = json.loads(self("snapshot", "list", "--all", "--show-identical", "--json") or "[]")
        return [
            {
                "id": manifest["id"],
                "source": manifest["source"],
                "startTime": manifest["startTime"],
                "endTime": manifest["endTime"],
                "incomplete": manifest.get("incomplete"),
                "tags": manifest.get("tags"),
                "pins": manifest.get("pins"),
                "description": manifest.get("description", ""),
                "rootObject": manifest["rootEntry"]["obj"],
            }
            for manifest in manifests
        ]


class Failed(Exception):
    pass


def make(name, case, kopia, version, out, scratch):
    """Makes one case in a scratch folder; what is whole is moved to its place."""
    repository = scratch / "repo"
    repository.mkdir()
    if "shards" in case:
        (repository / ".shards").write_text(json.dumps(case["shards"]))
    kopia("repository", "create", "filesystem", f"--path={repository}", *case["create"])
    if case.get("policy"):
        kopia("policy", "set", "--global", *case["policy"])

    trees = {}
    for number, made in enumerate(case["snapshots"]):
        for command in case.get("between", {}).get(number, ()):
            kopia(*command)
        tree = made["tree"]
        # What is really read shows in the snapshot only where the source is not overridden.
        root = scratch / "sources" / (tree if made["source"] else "data")
        if not made["source"]:
            shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            source = Source(root)
            tree_builder(tree)(source)
            source.settle()
        trees[tree] = lines(root)
        args = [f"--override-source={made['source']}"] if made["source"] else []
        kopia("snapshot", "create", str(root / made.get("file", "")), *args, *made["args"])

    expired = {made["source"] for made in case["snapshots"] if made.get("expired")}
    for source in sorted(expired):
        ours = sum(bool(made.get("expired")) for made in case["snapshots"] if made["source"] == source)
        oldest = [m["id"] for m in kopia.listed() if "{userName}@{host}:{path}".format(**m["source"]) == source]
        for manifest in oldest[:ours]:
            kopia("snapshot", "delete", manifest, "--delete")
    for command in case.get("after", ()):
        kopia(*command)
    listed = kopia.listed()
    password = case.get("new_password", PASSWORD)
    if password != PASSWORD:
        kopia("repository", "change-password", f"--new-password={password}")
    kopia("repository", "disconnect")
    remove_logs(repository)

    names = write_trees(trees, out)
    snapshots = [{**made, "tree": names[made["tree"]]} for made in case["snapshots"]]
    description = {"name": name, "about": case["about"], "kopia": version, "password": password, "create": case["create"],
                   "snapshots": snapshots, "kopia_snapshot_list": listed}
    (scratch / "case.json").write_text(json.dumps(description, ensure_ascii=False, indent=1) + "\n")
    place = out / "repos" / name
    place.mkdir(parents=True)
    shutil.move(repository, place / "repo")
    shutil.move(scratch / "case.json", place / "case.json")


def remove_logs(repository):
    """Removes the diagnostic logs, whose ids begin with _log_, and the folders that are empty then."""
    for folder, _, names in os.walk(repository, topdown=False):
        for name in names:
            path = Path(folder, name)
            if "".join(path.relative_to(repository).parts).startswith("_log_"):
                path.unlink()
        if not os.listdir(folder):
            os.rmdir(folder)


def write_trees(trees, out):
    """Writes what is not there yet, and returns the names: one that stands for other contents gets a number."""
    folder = out / "trees"
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for tree, wanted in trees.items():
        for number in itertools.count(1):
            name = tree if number == 1 else f"{tree}.{number}"
            path = folder / f"{name}.jsonl"
            if not path.exists():
                path.write_text(wanted, encoding="utf-8")
            if path.read_text(encoding="utf-8") == wanted:
                names[tree] = name
                break
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where repos and trees are written")
    parser.add_argument("--kopia", default="kopia", help="the program (default: the one on PATH)")
    parser.add_argument("--only", action="append", metavar="NAME", help="make this case only; may be repeated")
    parser.add_argument("--as", dest="rename", metavar="NAME", help="another name for the only case made")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    arguments = parser.parse_args()
    table = cases()
    if arguments.list:
        for name, case in table.items():
            print(f"{name:32}{case['about']}")
        return 0
    if arguments.out is None:
        parser.error("--out is needed")
    unknown = set(arguments.only or ()) - set(table)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; see --list")
    if arguments.rename and len(arguments.only or ()) != 1:
        parser.error("--as needs exactly one --only")
    if os.geteuid() != 0:
        parser.error("run it as root: the trees have owners, and files that nobody may read")
    binary = shutil.which(arguments.kopia)
    if binary is None:
        parser.error(f"{arguments.kopia}: not found")
    binary = os.path.abspath(binary)
    os.umask(0o022)

    with tempfile.TemporaryDirectory() as home:
        version = Kopia(binary, Path(home))("--version").split()[0]
    version = version if version.startswith("v") else f"v{version}"
    failed = 0
    for name in arguments.only or table:
        called = arguments.rename or name
        if (arguments.out / "repos" / called).exists():
            print(f"{called}: is there, left alone", file=sys.stderr)
            failed += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            home, scratch = Path(folder, "home"), Path(folder, "work")
            home.mkdir()
            scratch.mkdir()
            try:
                make(called, table[name], Kopia(binary, home), version, arguments.out, scratch)
                print(f"{called}: made", flush=True)
            except Failed as error:
                print(f"{called}: {error}", file=sys.stderr)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
