"""The same ugly names through everything that answers for names: the part of verify_exports.py behind --agree."""

import base64
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import urllib.request

import numpy as np

WORDS = "google mail shop example xjpakmdcfuqe cdn7 a 1e100 _dmarc x-y qkz0f3 login news 4chan".split()
SUFFIXES = "com de org biz co.uk ru info xn--p1ai".split()
WORLD = "münchen straße ñandú пример 例え παράδειγμα éxito naïve i❤ ЁЖ MÜNCHEN ǆ بيت ﬁsch a\u0323".split()
BASE64 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/="


def strange_names(count, seed=1):
    """Kinds and names, as lists, resolvers, logs and people write them: bytes without a line feed, none empty."""
    rng = random.Random(seed)
    word = lambda: rng.choice(WORDS)
    host = lambda: ".".join([word() for _ in range(rng.randint(1, 3))] + [rng.choice(SUFFIXES)])
    text = lambda alphabet, n: "".join(rng.choice(alphabet) for _ in range(n))
    world = lambda: ".".join([rng.choice(WORLD + WORDS[:3]), rng.choice(WORLD), rng.choice(SUFFIXES)])
    any_case = lambda s: "".join(rng.choice([c.lower(), c.upper()]) for c in s)
    port = lambda: ":%d" % rng.randint(0, 65535)
    path = lambda: rng.choice("/?#") + text("abcXYZ019/?#&=._-:@", rng.randint(0, 20))
    v4 = lambda: ".".join(str(rng.randint(0, 255)) for _ in range(4))
    v6 = lambda: rng.choice(["::1", "2001:db8::%x" % rng.randint(1, 9999), "fe80::1:2:3:4", "::ffff:" + v4()])
    url = lambda h: rng.choice(["http", "HTTPS", "ftp"]) + "://" + rng.choice(["", "u@", "u:p@"]) + h
    kinds = {
        "plain": host,
        "dots": lambda: host() + "." * rng.randint(1, 3),
        "case": lambda: any_case(host()) + rng.choice(["", "."]),
        "IDN": lambda: world() + rng.choice(["", ".", "\u3002"]),
        "IDN dots": lambda: world().replace(".", rng.choice("\u3002\uff0e\uff61")),
        "blanks": lambda: rng.choice([" ", "\t", "  "]) + host() + rng.choice([" ", "\t", ""]),
        "port": lambda: rng.choice([host, world])() + rng.choice(["", "."]) + port(),
        "URL": lambda: url(rng.choice([host, world])() + rng.choice(["", port()])) + path(),
        "path": lambda: any_case(host()) + rng.choice(["", ".", port()]) + path(),
        "unlisted": lambda: word() + "." + rng.choice(["notatld", "t3xt", "lan1"]) + rng.choice("/?") + text("abc", 5),
        "address": lambda: rng.choice([v4(), v4() + port(), v6(), "[" + v6() + "]" + port(), url(v4()), v4() + "/24"]),
        "escape": lambda: text("ab", 3) + rng.choice([r"\.", r"\046", r"\255", "%2e", r"\x00"]) + host(),
        "control": lambda: word() + chr(rng.randint(0, 31)).replace("\n", "\0") + host(),
        "comment": lambda: rng.choice(["# ", "; ", "// ", "! "]) + host(),
        "blank": lambda: rng.choice([" ", "\t", ".", "..", " . "]),
        "base64": lambda: text(BASE64, rng.randint(4, 60)) + ".t.example.com",
        "bytes": lambda: bytes(rng.randint(128, 255) for _ in range(rng.randint(1, 40))) + b".t.example.com",
        "labels": lambda: rng.choice(["a..b.com", ".com", text("ab", 64) + ".com", "a." * 127 + "com", "a b.com"]),
    }
    out = [(k, kinds[k]()) for k in rng.choices(list(kinds), k=count)]
    return [k for k, _ in out], [n if isinstance(n, bytes) else n.encode() for _, n in out]


def as_text(name):
    return name.decode("utf-8", "surrogateescape")


def recipe(path):
    """What the Python lines of the export's own README.md define."""
    code, here, out = re.search(r"```python\n(.*?)```", (path / "README.md").read_text(), re.S)[1], os.getcwd(), {}
    os.chdir(path)
    try:
        exec(compile(code, str(path / "README.md"), "exec"), out)
    finally:
        os.chdir(here)
    return out


def by_predict(v, names):
    command = [*v.degas, "predict", "--json", "--model", str(v.path.resolve())]
    run = subprocess.run(command, input=b"".join(n + b"\n" for n in names), capture_output=True, cwd=v.root, check=True)
    return [(r["score"], r["label"]) for r in map(json.loads, run.stdout.splitlines())]


def by_go(v, names):
    command = ["go", "run", "scripts/score.go", str(v.path.resolve())]
    lines = b"".join(base64.b64encode(n) + b"\n" for n in names)
    run = subprocess.run(command, input=lines, capture_output=True, cwd=v.root, check=True)
    return [(r["score"], r["label"]) for r in map(json.loads, run.stdout.splitlines())]


@contextlib.contextmanager
def served(v):
    """The URL of a degas serve. It gets a group of its own: "go run" would end without the server that it started."""
    command = [*v.degas, "serve", str(v.path.resolve()), "--addr", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=v.root, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def by_serve(v, names):
    with served(v) as url:
        rows = [{"b64": base64.b64encode(n).decode()} for n in names]
        body = json.dumps({"signature_name": "names", "instances": rows}).encode()
        with urllib.request.urlopen(urllib.request.Request(url + ":predict", body)) as r:
            return [(p["score"][0], p["label"]) for p in json.load(r)["predictions"]]


def by_recipe(v, names):
    return [(score, label) for _, score, label in recipe(v.path)["predict"](list(map(as_text, names)))]


def by_tensorflow(v, names):
    import tensorflow as tf

    out = tf.saved_model.load(str(v.path)).signatures["names"](domain=tf.constant(names))
    return list(zip(out["score"].numpy()[:, 0].tolist(), (label.decode() for label in out["label"].numpy())))


def agreement(v, count):
    """Prints how many names get the same answer everywhere, and returns what no rule excuses."""
    kinds, names = strange_names(count)
    fold = recipe(v.path)["fold"]
    want, failures = by_predict(v, names), []
    # The signature's graph knows no more than the case of ASCII letters and final dots.
    simple = lambda n: n.lower().rstrip(b".") == fold(as_text(n)).encode() != b""
    excuses = {
        "Go": lambda kind, n: False,
        "serve": lambda kind, n: False,
        "recipe": lambda kind, n: kind == "unlisted" and "without a scheme, below no top-level domain",
        "TF names": lambda kind, n: not simple(n) and "folds only case and final dots",
    }
    ways = {"Go": by_go, "serve": by_serve, "recipe": by_recipe, "TF names": by_tensorflow}
    print(f"\n{v.path}: {count} ugly names as degas predict answers them")
    for way, ask in ways.items():
        got, excused = ask(v, names), {}
        if len(got) != len(want):
            raise ValueError(f"{way}: {len(got)} answers for {len(want)} names")
        for kind, name, (s, label), (want_s, want_label) in zip(kinds, names, got, want):
            near = abs(want_s - v.model["threshold"]) <= v.tolerance
            if abs(s - want_s) <= v.tolerance and (label == want_label or near):
                continue
            if excuses[way](kind, name):
                excused[kind] = excused.get(kind, 0) + 1
            else:
                failures.append(f"{v.path}: {way}: {name!r} ({kind}): {s:.6f} {label}, "
                                f"predict: {want_s:.6f} {want_label}")
        text = ", ".join(f"{k} {n}" for k, n in sorted(excused.items()))
        print(f"{way:9} {count - sum(excused.values()) - sum(f': {way}: ' in f for f in failures)} the same"
              + (f", other by rule: {text}" if text else ""))
    invalid = sum(label == "invalid" for _, label in want)
    print(f"{invalid} of them are no names: label invalid, score 0; TensorFlow scores whatever it gets")
    return failures
