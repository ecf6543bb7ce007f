"""Reads splits with pyarrow, polars and DuckDB, and compares with dataset.json and with what JavaScript found.

Usage: verify_arrow.py JS.json DATASET…     see scripts/verify-arrow
"""
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import duckdb
import polars
import pyarrow.ipc

COLUMNS = ["domain", "class", "family", "source"]
# apache-arrow for JavaScript knows no compression without a codec of the user's own.
EXPECTED_FAILURES = {("apache-arrow JS", "lz4"), ("apache-arrow JS", "zstd")}


def describe(columns, fingerprint):
    """columns are four lists of strings."""
    h = hashlib.sha256()
    for row in zip(*columns):
        h.update(("\t".join(row) + "\n").encode())
    counts = {name: dict(Counter(values)) for name, values in zip(COLUMNS[1:], columns[1:])}
    return {"rows": len(columns[0]), "sha256": h.hexdigest(), "counts": counts, "fingerprint": fingerprint}


def with_pyarrow(path):
    with pyarrow.ipc.open_file(path) as f:
        meta = f.schema.metadata or {}
        table = f.read_all()
    return describe([table[c].to_pylist() for c in COLUMNS], meta.get(b"degas.fingerprint", b"").decode())


def with_polars(path):
    frame = polars.read_ipc(path)
    return describe([frame[c].cast(polars.String).to_list() for c in COLUMNS], None)


def with_duckdb(path):
    split = pyarrow.ipc.open_file(path).read_all()  # noqa: F841: DuckDB finds it by its name
    rows = duckdb.sql("select domain, class::varchar, family::varchar, source::varchar from split").fetchall()
    counts = dict(duckdb.sql("select class::varchar, count(*) from split group by 1").fetchall())
    found = describe([list(c) for c in zip(*rows)], None)
    if counts != found["counts"]["class"]:
        raise ValueError(f"group by class gives {counts}")
    return found


READERS = [("pyarrow " + pyarrow.__version__, with_pyarrow), ("polars " + polars.__version__, with_polars),
           ("DuckDB " + duckdb.__version__, with_duckdb)]


def compare(found, want):
    """What is wrong with found, given want; None when nothing is."""
    if "error" in found:
        return found["error"]
    for key in ("rows", "sha256", "counts", "fingerprint"):
        if found.get(key) is not None and found[key] != want[key]:
            return f"{key} is {str(found[key])[:60]}, want {str(want[key])[:60]}"
    return None


def wanted(manifest, split, reference):
    s = next(s for s in manifest["splits"] if s["name"] == split)
    counts = {
        "class": {k: n for k, n in s["by_class"].items() if n},
        "family": s["by_family"],
        "source": s["by_source"],
    }
    return {"rows": s["rows"], "counts": counts, "fingerprint": manifest["fingerprint"], "sha256": reference}


def main():
    js, failed = json.loads(Path(sys.argv[1]).read_text()), False
    print(f"{'reader':<24}" + "".join(f"{Path(d).name:>22}" for d in sys.argv[2:]))
    reference = {}
    for name, read in READERS + [("apache-arrow JS", None)]:
        cells, notes = [], []
        for d in sys.argv[2:]:
            manifest, rows, problem = json.loads((Path(d) / "dataset.json").read_text()), 0, None
            for split in ("train", "validation", "test"):
                try:
                    found = read(f"{d}/{split}.arrow") if read else js[d][split]
                except Exception as e:  # any failure to read is a result
                    found = {"error": f"{type(e).__name__}: {str(e).splitlines()[0]}"}
                if "sha256" in found:  # the same rows for every reader and every compression
                    reference.setdefault(split, found["sha256"])
                problem = problem or compare(found, wanted(manifest, split, reference.get(split)))
                rows += found.get("rows", 0)
            expected = (name, Path(d).name) in EXPECTED_FAILURES
            cells.append("not supported" if problem and expected else "FAILED" if problem else f"{rows} rows ok")
            if problem and not expected:
                failed = True
                notes.append(f"  {Path(d).name}: {problem}")
        print(f"{name:<24}" + "".join(f"{c:>22}" for c in cells))
        for n in notes:
            print(n)
    sys.exit(1 if failed else 0)


main()
