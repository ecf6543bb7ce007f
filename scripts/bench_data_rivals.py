"""The work of degas process-data as a data engineer would write it with pandas, polars and DuckDB, each in its best
way.

Usage: bench_data_rivals.py pandas|polars|duckdb NAMES.csv OUT     run by scripts/bench-data

NAMES.csv has the columns domain, class and family. Names are lower-cased, scheme, path and final dots go, names that
are none are refused; duplicates go, names with two classes go; the registered domain (public suffix list) decides by
its hash to which of three Arrow files a name goes. Prints seconds and rows kept as JSON; imports are not counted.
"""

import json
import sys
import time

SPLITS = ["train", "validation", "test"]
NAME = r"^[!-\-/-~]{1,63}(\.[!-\-/-~]{1,63})*$"  # printable ASCII: tunnels use all of it


def suffixes():
    """The public suffix list as a set; a rule *.ck counts as the suffixes that it has are seen: not at all."""
    from publicsuffixlist import PSLFILE
    rules = set()
    for line in open(PSLFILE, encoding="utf-8"):
        line = line.strip()
        if line and not line.startswith("//") and line[0] not in "*!":
            rules.add(line.encode("idna").decode() if not line.isascii() else line)
    return rules


def run_pandas(path, out):
    import pandas as pd
    import pyarrow as pa
    rules = suffixes()

    def registered(name):
        end = name.rfind(".")
        if end < 0:
            return name
        start = name.rfind(".", 0, end)
        while start >= 0 and name[start + 1:] in rules:
            start = name.rfind(".", 0, start)
        return name[start + 1:]

    began = time.perf_counter()
    d = pd.read_csv(
        path, dtype={"domain": "string[pyarrow]", "class": "category", "family": "category"}, engine="pyarrow"
    )
    d["domain"] = d["domain"].str.lower().str.replace(r"^[a-z]+://", "", regex=True).str.rstrip(".")
    d = d[(d["domain"].str.len() <= 253) & d["domain"].str.match(NAME)]
    d = d.drop_duplicates(["domain", "class"])
    d = d.drop_duplicates("domain", keep=False)
    group = pd.Series([registered(n) for n in d["domain"].tolist()], dtype="string[pyarrow]")
    share = pd.util.hash_array(group.to_numpy(dtype=object), categorize=False) % 100
    d = d.reset_index(drop=True)
    for split, part in zip(SPLITS, (d[share >= 20], d[(share >= 10) & (share < 20)], d[share < 10])):
        table = pa.Table.from_pandas(part, preserve_index=False)
        with pa.ipc.new_file(f"{out}/{split}.arrow", table.schema) as w:
            w.write_table(table)
    return time.perf_counter() - began, len(d)


def run_polars(path, out):
    import polars as pl
    rules = pl.Series(sorted(suffixes()))
    began = time.perf_counter()
    name = pl.col("domain").str.to_lowercase().str.replace(r"^[a-z]+://", "").str.strip_chars_end(".")
    labels = pl.col("labels")

    def last(n):
        return labels.list.tail(n).list.join(".")

    registered = (
        pl.when(last(4).is_in(rules.implode()))
        .then(last(5))
        .when(last(3).is_in(rules.implode()))
        .then(last(4))
        .when(last(2).is_in(rules.implode()))
        .then(last(3))
        .otherwise(last(2))
    )
    d = (
        pl.scan_csv(path, schema={"domain": pl.String, "class": pl.Categorical, "family": pl.Categorical})
        .with_columns(name)
        .filter((pl.col("domain").str.len_bytes() <= 253) & pl.col("domain").str.contains(NAME))
        .group_by("domain")
        .agg(pl.col("class").first(), pl.col("family").first(), pl.col("class").n_unique().alias("classes"))
        .filter(pl.col("classes") == 1)
        .drop("classes")
        .with_columns(labels=pl.col("domain").str.split("."))
        .with_columns(share=registered.hash(1) % 100)
        .drop("labels")
        .collect(engine="streaming")
    )
    kept = len(d)
    for split, part in zip(SPLITS, (pl.col("share") >= 20, pl.col("share").is_between(10, 19), pl.col("share") < 10)):
        d.filter(part).drop("share").write_ipc(f"{out}/{split}.arrow")
    return time.perf_counter() - began, kept


def run_duckdb(path, out):
    import duckdb
    import pyarrow as pa
    rules = sorted(suffixes())
    began = time.perf_counter()
    db = duckdb.connect(config={"threads": 2, "preserve_insertion_order": False, "temp_directory": out})
    db.execute("create table psl as select unnest(?) as suffix", [rules])
    db.execute(
        f"""
        create table names as
        with raw as (select rtrim(regexp_replace(lower(domain), '^[a-z]+://', ''), '.') as domain, class, family
                     from read_csv('{path}', \
columns={{'domain': 'varchar', 'class': 'varchar', 'family': 'varchar'}}, header=true)),
        named as (select domain, any_value(class) as class, any_value(family) as family from raw
                  where strlen(domain) <= 253 and regexp_matches(domain, '{NAME}')
                  group by domain having count(distinct class) = 1),
        labelled as (select *, string_split(domain, '.') as l from named),
        cut as (select *, array_to_string(l[-4:], '.') as l4, array_to_string(l[-3:], '.') as l3, \
array_to_string(l[-2:], '.') as l2 from labelled)
        select domain, class, family, hash(array_to_string(case
            when l4 in (select suffix from psl) then l[-5:] when l3 in (select suffix from psl) then l[-4:]
            when l2 in (select suffix from psl) then l[-3:] else l[-2:] end, '.')) % 100 as share from cut"""
    )
    kept = db.execute("select count(*) from names").fetchone()[0]
    for split, where in zip(SPLITS, ("share >= 20", "share >= 10 and share < 20", "share < 10")):
        batches = db.execute(f"select domain, class, family from names where {where}").to_arrow_reader(1 << 16)
        with pa.ipc.new_file(f"{out}/{split}.arrow", batches.schema) as w:
            for b in batches:
                w.write_batch(b)
    return time.perf_counter() - began, kept


if __name__ == "__main__":
    seconds, kept = {"pandas": run_pandas, "polars": run_polars, "duckdb": run_duckdb}[sys.argv[1]](*sys.argv[2:4])
    print(json.dumps({"seconds": seconds, "kept": kept}))
