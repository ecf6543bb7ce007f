"""Compares exported models in their real runtimes with degas itself. Run it through scripts/verify-exports.

degas' scores come from `degas predict --json DIR` or, with --expected SUFFIX, from the file DIR+SUFFIX, as the Go
tests write it: {"names": [base64], "probabilities": [[float]], "labels": [str]}.

Each cell of the first table is the largest absolute difference over all names and outputs; an empty batch has been
scored too, except by Keras' layers that take none. The second has the milliseconds that loading took and thousands of
names scored a second, the whole batch at once and for the second time where a runtime compiles at the first. The
encoder is implemented here once more, from model.json alone.
"""

import argparse
import base64
import functools
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
warnings.filterwarnings("ignore")

import logging  # noqa: E402

import numpy as np  # noqa: E402

from agreement import agreement, served  # noqa: E402

logging.getLogger("tensorflow").setLevel(logging.ERROR)

TOLERANCE, LSTM_TOLERANCE = 2e-6, 1e-5  # the latter also where logits are large
ORIGINAL_INPUT = "main_input"  # the original degas' name of the input, and its clients' keys


def ugly_names(count=2000, seed=1):
    """Names of every length from 1 to 253 that need no more folding than the string signature does."""
    rng = random.Random(seed)
    names = [
        "a",
        "0",
        "_",
        "com",
        "example.com.",
        "WWW.EXAMPLE.COM",
        "MiXeD.Example.Org.",
        "0123456789.org",
        "1.2.3.4.in-addr.arpa",
        "_srv._tcp.example.com",
        "_dmarc.example.org",
        "xn--bcher-kva.example",
        "xn--80akhbyknj4f.xn--p1ai",
        "a-b--c.example",
        ".".join(["a" * 63] * 3 + ["b" * 61]),
        ".".join(["x"] * 127),
        "google.com",
        "xcbeoysoqcbnlvje.eu",
        "gnqqmcj.pw",
        "x+y=z.com",
    ]
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_"
    while len(names) < count:
        left = 1 + len(names) % 253
        labels = []
        while left > 0:
            size = min(left, rng.randint(1, 63))
            if left - size == 1:  # a dot needs a label behind it
                size = left if left <= 63 else size - 1
            labels.append("".join(rng.choice(alphabet) for _ in range(size)))
            left -= size + 1
        name = ".".join(labels)
        if not any(c.isalpha() or c == "_" for c in name):
            name = "a" + name[1:]  # digits alone could be an address
        names.append(rng.choice([name, name, name.upper(), name + "."]) if len(name) < 253 else name)
    return [n.encode() for n in names]


class Encoder:
    """model.json's encoder on bytes that need no more folding than case and final dots. README.md of every export has
    the whole: --agree runs it."""

    def __init__(self, spec):
        self.spec = spec
        self.table = {c: spec["base"] + i for i, c in enumerate(spec["alphabet"].encode())}

    def __call__(self, name):
        e, window = self.spec, self.spec["window"]
        name = name.rstrip(b".").lower()  # whatever e["lower"] says: degas folds A-Z in all that it scores
        if len(name) > window:
            name = name[:window] if e["keep"] == "first" else name[-window:]
        ids = [e["pad"] if c == 0 else self.table.get(c, e["unknown"]) for c in name]
        if e.get("reverse"):
            ids.reverse()
        padding = [e["pad"]] * (window - len(ids))
        return ids + padding if e["pad_side"] == "right" else padding + ids


class Version:
    """One version directory with the names, codes and degas' answers."""

    def __init__(self, path, names, probabilities, labels):
        self.path = Path(path)
        self.model = json.loads((self.path / "model.json").read_text())
        spec = self.model["spec"]
        self.spec, self.labels = spec, spec["labels"]
        self.input = spec.get("input_name") or "domain_ids"
        self.names = names
        self.want, self.want_labels = probabilities, labels
        self.score = probabilities[:, 1:] if len(self.labels) == 2 else 1 - probabilities[:, :1]
        encode = Encoder(spec["encoder"])
        self.ids = np.array([encode(n) for n in self.names], "int32")
        self.sigmoid = spec["layers"][-1]["activation"] == "sigmoid"
        layers = json.dumps(spec["layers"])
        self.recurrent = '"lstm"' in layers or '"gru"' in layers
        # A model that trained for long is sure of many names. Its logits are above 16, where float32 has steps of 2e-6.
        sure = probabilities.max(1) / np.maximum(probabilities.min(1), 1e-30) > np.exp(16)
        self.tolerance = LSTM_TOLERANCE if self.recurrent or sure.any() else TOLERANCE
        self.exact = False  # choose TensorFlow.js' slow backend, which rounds least
        first = spec["layers"][0]
        self.shape = [first["height"], first["width"], 1] if first["kind"] == "image" else [spec["encoder"]["window"]]
        self.seconds, self.speed = None, None  # of the cell in work

    def keras_input(self):
        """What Keras' models take: codes, or pictures of them."""
        return self.ids if len(self.shape) == 1 else self.ids.reshape(-1, *self.shape).astype("float32")

    def load(self, f):
        start = time.perf_counter()
        out = f()
        self.seconds = time.perf_counter() - start
        return out

    def run(self, f, warm=True):
        """f scores all names; once before it counts, unless the runtime need not be warmed."""
        if warm:
            f()
        start = time.perf_counter()
        out = f()
        self.speed = len(self.names) / (time.perf_counter() - start)
        return out

    def head_difference(self, got):
        """got: what the head gives, [names, 1] for a sigmoid."""
        return difference(got, self.score if self.sigmoid else self.want)

    def check_labels(self, got):
        """Labels must agree wherever rounding cannot decide."""
        clear = np.abs(self.score[:, 0] - self.model["threshold"]) > self.tolerance
        if len(self.labels) > 2:
            top = np.sort(self.want[:, 1:], axis=1)
            clear &= (top[:, -1] - top[:, -2] > self.tolerance) | (self.score[:, 0] < self.model["threshold"])
        for i in np.flatnonzero(clear):
            if got[i].decode() != self.want_labels[i]:
                raise ValueError(f"label of {self.names[i]!r} is {got[i]!r}, degas says {self.want_labels[i]!r}")


def difference(got, want):
    got = np.asarray(got)
    if got.shape != want.shape:
        raise ValueError(f"shape {got.shape}, want {want.shape}")
    return float(np.abs(got.astype("float64") - want).max()) if want.size else 0.0


def check_sums(v):
    listed = {}
    for line in (v.path / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ", 1)
        listed[name] = digest
    found = {str(p.relative_to(v.path)): hashlib.sha256(p.read_bytes()).hexdigest()
             for p in v.path.rglob("*") if p.is_file() and p.name != "SHA256SUMS"}
    if listed != found:
        raise ValueError(f"SHA256SUMS does not match {sorted(set(listed.items()) ^ set(found.items()))}")
    return 0.0


def check_keras3(v):
    import keras

    keras.backend.clear_session()
    return keras_difference(v, keras, v.load(lambda: keras.models.load_model(v.path / "model.h5", compile=False)))


def check_keras_file(v):
    import keras

    keras.backend.clear_session()
    return keras_difference(v, keras, v.load(lambda: keras.models.load_model(v.path / "model.keras", compile=False)))


def check_tf_keras(v):
    import tf_keras

    tf_keras.backend.clear_session()
    return keras_difference(
        v, tf_keras, v.load(lambda: tf_keras.models.load_model(str(v.path / "model.h5"), compile=False))
    )


@functools.cache
def refused_when_empty(keras):
    """The kinds of layers that this Keras itself cannot run on an empty batch, whatever the model."""
    nothing, out = np.zeros((0, 5, 3), "float32"), []
    known = ("global_max_pool", keras.layers.GlobalMaxPooling1D()), ("lstm", keras.layers.LSTM(2))
    for kind, layer in *known, ("gru", keras.layers.GRU(2)):
        try:
            layer(nothing)
        except Exception:
            out.append(f'"{kind}"')
    return out


def keras_difference(v, keras, model):
    count = sum(int(np.prod(w.shape)) for w in model.weights)
    if count != v.model["parameters"]:
        raise ValueError(f"{count} parameters, model.json says {v.model['parameters']}")
    ids = v.keras_input()
    layers = json.dumps(v.spec["layers"])
    if not any(kind in layers for kind in refused_when_empty(keras)) and (
        nothing := np.asarray(model(ids[:0]))
    ).shape != (0, 1 if v.sigmoid else len(v.labels)):
        raise ValueError(f"an empty batch gives shape {nothing.shape}")
    return v.head_difference(v.run(lambda: model.predict(ids, verbose=0, batch_size=256)))


def signatures(v):
    import tensorflow as tf

    loaded = v.load(lambda: tf.saved_model.load(str(v.path)))
    return tf, loaded, loaded.signatures  # the caller must keep loaded alive


def check_names(v):
    tf, keep, sig = signatures(v)
    if set(sig) != {"serving_default", "ids", "names"}:
        raise ValueError(f"signatures {sorted(sig)}")
    d = answers_difference(v, v.run(lambda: sig["names"](domain=tf.constant(v.names))))
    nothing = sig["names"](domain=tf.constant([], tf.string))
    if nothing["score"].shape != (0, 1) or nothing["label"].shape != (0,):
        raise ValueError("an empty batch gives " + str(nothing))
    if v.input != ORIGINAL_INPUT:
        d = max(d, answers_difference(v, sig["serving_default"](domain=tf.constant(v.names))))
    return d


def answers_difference(v, out):
    if set(out) != {"score", "scores", "label"}:
        raise ValueError(f"outputs {sorted(out)}")
    v.check_labels(out["label"].numpy())
    return max(difference(out["score"], v.score), difference(out["scores"], v.want))


def check_ids(v):
    tf, keep, sig = signatures(v)
    key = "input_image" if v.input == ORIGINAL_INPUT else v.input
    nothing = sig["ids"](**{key: tf.zeros((0, v.ids.shape[1]), tf.int32)})
    if any(t.shape[0] != 0 for t in nothing.values()):
        raise ValueError("an empty batch gives " + str(nothing))
    out = v.run(lambda: sig["ids"](**{key: tf.constant(v.ids)}))
    if v.input != ORIGINAL_INPUT:
        return answers_difference(v, out)
    head = "dense_%d/%s:0" % (dense_layers(v.spec["layers"]) - 1, "Sigmoid" if v.sigmoid else "Softmax")
    again = sig["serving_default"](**{key: tf.constant(v.ids)})
    tensors = sig["ids"].inputs[0].name, list(out)
    if tensors != (ORIGINAL_INPUT + ":0", [head.replace("dense_0/", "dense/")]):
        raise ValueError(f"input and outputs are {tensors}")
    return max(v.head_difference(t) for t in (*out.values(), *again.values()))


def dense_layers(layers):
    return sum(1 if l["kind"] == "dense" else sum(dense_layers(b) for b in l.get("branches", [])) for l in layers)


def check_onnx(v):
    import onnx
    import onnxruntime

    path = str(v.path / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    session = v.load(lambda: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    score, probabilities = v.run(lambda: session.run(["score", "probabilities"], {v.input: v.ids.astype("int64")}))
    nothing = session.run(None, {v.input: np.zeros((0, v.ids.shape[1]), "int64")})
    if [o.shape for o in nothing] != [(0, 1), (0, len(v.labels))]:
        raise ValueError(f"an empty batch gives {nothing}")
    check_metadata(v, session.get_modelmeta().custom_metadata_map)
    return max(difference(score, v.score), difference(probabilities, v.want))


def check_metadata(v, meta):
    e = v.spec["encoder"]
    want = {"degas." + k: str(e[k]) for k in ("alphabet", "base", "pad", "unknown", "window", "pad_side", "keep")}
    want["degas.lower"] = "true" if e["lower"] else "false"
    want["degas.reverse"] = "true" if e.get("reverse") else "false"
    for key, value in want.items():
        if meta.get(key) != value:
            raise ValueError(f"metadata {key} is {meta.get(key)!r}, want {value!r}")
    if json.loads(meta["degas.labels"]) != v.labels or float(meta["degas.threshold"]) != v.model["threshold"]:
        raise ValueError(f"labels or threshold in the metadata: {meta}")


def check_safetensors(v):
    """The raw tensors, in safetensors and in HDF5, are the same numbers."""
    import h5py
    from safetensors.numpy import load_file

    tensors = load_file(v.path / "model.safetensors")
    if sum(t.size for t in tensors.values()) != v.model["parameters"]:
        raise ValueError("model.json says another number of parameters")
    if (v.path / "model.h5").exists():
        found = []
        with h5py.File(v.path / "model.h5") as f:
            f["model_weights"].visititems(lambda _, o: found.append(o[()]) if isinstance(o, h5py.Dataset) else None)
        key = lambda t: (t.shape, t.tobytes())
        if sorted(map(key, found)) != sorted(map(key, tensors.values())):
            raise ValueError("model.h5 holds other tensors")
    return 0.0


def check_serve(v):
    """TensorFlow Serving's REST API, as its documentation has it, answered by degas serve."""
    if not v.degas:
        return None
    start = time.perf_counter()
    with served(v) as url:
        v.seconds = time.perf_counter() - start
        return serve_difference(v, url)


def serve_difference(v, url):
    def ask(signature, **body):
        data = json.dumps({"signature_name": signature, **body}).encode()
        with urllib.request.urlopen(
            urllib.request.Request(url + ":predict", data, {"Content-Type": "application/json"})
        ) as r:
            return json.load(r)

    with urllib.request.urlopen(url + "/metadata") as r:
        signatures = json.load(r)["metadata"]["signature_def"]["signature_def"]
    if set(signatures) != {"serving_default", "ids", "names"}:
        raise ValueError(f"signatures {sorted(signatures)}")
    names = [n.decode() for n in v.names]
    rows = v.run(lambda: ask("names", instances=names))["predictions"]
    v.check_labels([r["label"].encode() for r in rows])
    d = max(difference([r["score"] for r in rows], v.score), difference([r["scores"] for r in rows], v.want))
    columns = ask("names", inputs={"domain": names})["outputs"]
    d = max(d, difference(columns["scores"], v.want))
    if ask("names", inputs=[])["outputs"] != {"label": [], "score": [], "scores": []}:
        raise ValueError("an empty batch is not answered by none")
    got = ask("ids", instances=v.ids.tolist())["predictions"]
    if v.input == ORIGINAL_INPUT:
        return max(d, v.head_difference(got))
    return max(d, difference([r["scores"] for r in got], v.want))


NODE_MODULES = os.environ.get("DEGAS_NODE")  # a folder with node_modules, see scripts/node


def check_node(v, kind):
    """JavaScript runtimes run in node: codes in, the head's output out, as JSON."""
    if not NODE_MODULES:
        return None
    request = {
        "kind": kind,
        "dir": str(v.path.resolve()),
        "input": v.input,
        "ids": v.ids.tolist(),
        "window": v.ids.shape[1],
        "shape": v.shape,
        "backend": "cpu" if v.exact and not v.recurrent else "wasm",
    }
    run = subprocess.run(
        ["node", "verify_exports.mjs"], cwd=NODE_MODULES, input=json.dumps(request).encode(), capture_output=True
    )
    if run.returncode != 0:
        lines = run.stderr.decode().strip().splitlines()
        raise ValueError(next((l for l in lines if "Error" in l), "node failed"))
    out = json.loads(run.stdout)
    v.seconds, v.speed = out["load"], len(v.names) / out["run"]
    if out["empty"][0] != 0:
        raise ValueError(f"an empty batch gives shape {out['empty']}")
    if kind == "onnx":
        return max(
            difference(np.array(out["score"]).reshape(-1, 1), v.score),
            difference(np.array(out["probabilities"]).reshape(v.want.shape), v.want),
        )
    return v.head_difference(np.array(out["head"]).reshape(len(v.ids), -1))


RUNTIMES = [
    ("SHA256SUMS", "SHA256SUMS", check_sums),
    ("Keras 3", "model.h5", check_keras3),
    (".keras", "model.keras", check_keras_file),
    ("tf-keras", "model.h5", check_tf_keras),
    ("TF names", "saved_model.pb", check_names),
    ("TF ids", "saved_model.pb", check_ids),
    ("onnxruntime", "model.onnx", check_onnx),
    ("safetensors", "model.safetensors", check_safetensors),
    ("degas serve", "model.safetensors", check_serve),
    ("ort-web", "model.onnx", lambda v: check_node(v, "onnx")),
    ("TF.js", "tfjs/model.json", lambda v: check_node(v, "tfjs")),
]


def predict(degas, root, path, names):
    """degas' own answers for names: probabilities by label, [names, labels], and labels."""
    command = shlex.split(degas) + ["predict", "--json", str(Path(path).resolve())]
    run = subprocess.run(command, input=b"".join(n + b"\n" for n in names), capture_output=True, cwd=root)
    if run.returncode != 0:
        sys.exit(f"{shlex.join(command)}: {run.stderr.decode(errors='replace').strip()}")
    rows = [json.loads(line) for line in run.stdout.decode().splitlines()]
    if [r["name"].encode() for r in rows] != names:
        sys.exit(f"{shlex.join(command)}: {len(rows)} lines, which are not the {len(names)} names in order")
    order = json.loads((Path(path) / "model.json").read_text())["spec"]["labels"]
    return np.array([[r["probabilities"][label] for label in order] for r in rows]), [r["label"] for r in rows]


def load(path, args, names):
    """A Version with degas' answers from wherever they come."""
    if args.expected:
        want = json.loads(Path(str(path).rstrip("/") + args.expected).read_text())
        return Version(
            path, [base64.b64decode(n) for n in want["names"]], np.array(want["probabilities"]), want["labels"]
        )
    return Version(path, names, *predict(args.degas, args.root, path, names))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dirs", nargs="+", metavar="DIR")
    parser.add_argument("--degas", default="degas", help="the degas command")
    parser.add_argument("--root", default=".", help="where to run it")
    parser.add_argument("--expected", metavar="SUFFIX", help="read degas' answers from DIR+SUFFIX")
    parser.add_argument(
        "--random",
        action="store_true",
        help="the models are random ones with an amplified head, which amplifies "
        "rounding as well: 1e-5 is allowed for all, and TensorFlow.js rounds as little as it can",
    )
    parser.add_argument("--names", type=int, default=2000, metavar="N", help="names to score (2000)")
    parser.add_argument("--agree", type=int, metavar="N", help="only send N ugly names through degas predict, a Go "
                        "program, degas serve, the README's Python and TensorFlow")
    args = parser.parse_args()

    names = ugly_names(args.names)
    width = max(len(d) for d in args.dirs)
    if not args.agree:
        print(f"{'largest difference':{width}}  " + "  ".join(f"{r:>11}" for r, _, _ in RUNTIMES))
    failures, speeds = [], []
    for path in args.dirs:
        v = load(path, args, names)
        v.degas, v.root = None if args.expected else shlex.split(args.degas), args.root
        if args.agree:
            failures += agreement(v, args.agree)
            continue
        if args.random:
            v.tolerance, v.exact = LSTM_TOLERANCE, True
        pairs = [cell(v, runtime, file, check, failures) for runtime, file, check in RUNTIMES]
        cells = [c for c, _ in pairs]
        speeds.append(f"{path:{width}}  " + "  ".join(f"{s:>11}" for _, s in pairs))
        if set(cells[1:]) == {"-"}:
            failures.append(f"{path}: holds none of {', '.join(sorted({f for _, f, _ in RUNTIMES[1:]}))}")
        print(f"{path:{width}}  " + "  ".join(f"{c:>11}" for c in cells), flush=True)
    if not args.agree:
        head = "  ".join(f"{r:>11}" for r, _, _ in RUNTIMES)
        print(f"\n{'ms to load, 10³ names/s':{width}}  {head}", *speeds, sep="\n")
    for f in failures[:40]:
        print(f, file=sys.stderr)
    sys.exit(1 if failures else 0)


def cell(v, runtime, file, check, failures):
    """One check as a cell of each table; a format that was not exported is left out."""
    if not (v.path / file).exists():
        return "-", "-"
    v.seconds = v.speed = None
    try:
        d = check(v)
    except Exception as err:  # whatever a runtime throws is a failed cell
        failures.append(f"{v.path}: {runtime}: {type(err).__name__}: {err}")
        return "FAILED", "-"
    if d is None:
        return "-", "-"
    if not d <= v.tolerance:
        failures.append(f"{v.path}: {runtime}: differs by {d:.3g}, at most {v.tolerance:g} is allowed")
    if v.speed is None:
        return "ok", "-"
    return f"{d:.1e}", f"{1000 * v.seconds:.0f}, {v.speed / 1000:.3g}"


if __name__ == "__main__":
    main()
