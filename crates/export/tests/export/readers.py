import decimal, hashlib, json, struct, sys, tarfile, zipfile

def text(name):
    return "".join("\ufffd" if 0xdc80 <= ord(c) <= 0xdcff else c for c in name)

def line(path, kind, mode, uid, gid, mtime_ns, data=None, target=None):
    out = {"path": path, "type": kind, "uid": uid, "gid": gid, "mtime_ns": mtime_ns}
    if kind != "symlink":
        out["mode"] = "%o" % mode
    if data is not None:
        out.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    if target is not None:
        out["target"] = text(target)
    print(json.dumps(out))

def tar(path):
    with tarfile.open(path, "r:*") as archive:
        for m in archive:
            name = text(m.name)
            name = "" if name == "." else name.removeprefix("./")
            time = decimal.Decimal(m.pax_headers.get("mtime", m.mtime))
            kind = "dir" if m.isdir() else "symlink" if m.issym() else "file"
            data = archive.extractfile(m).read() if m.isfile() else None
            line(name, kind, m.mode, m.uid, m.gid, int(time * 1000000000), data, m.linkname if m.issym() else None)

def fields(extra):
    while len(extra) >= 4:
        id, length = struct.unpack("<HH", extra[:4])
        yield id, extra[4:4 + length]
        extra = extra[4 + length:]

def zip(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for m in archive.infolist():
            mode = m.external_attr >> 16
            kind = {0o04: "dir", 0o12: "symlink", 0o10: "file"}[mode >> 12]
            extra = dict(fields(m.extra))
            time = struct.unpack("<i", extra[0x5455][1:5])[0] if 0x5455 in extra else 0
            uid, gid = struct.unpack("<xxIxI", extra[0x7875])
            data = archive.read(m)
            name = m.filename
            if kind == "dir":
                assert name.endswith("/")
                name = name[:-1]
            target = data.decode("utf-8", "surrogateescape") if kind == "symlink" else None
            line(name, kind, mode & 0o7777, uid, gid, time * 1000000000, data if kind == "file" else None, target)

(zip if zipfile.is_zipfile(sys.argv[1]) else tar)(sys.argv[1])
