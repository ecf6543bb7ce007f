"""Requests of the Open Inference Protocol for scripts/compare-serving: valid and broken ones, drawn from a seed."""

import gzip
import json
import random
import struct
import zlib
from dataclasses import dataclass, field

INFER = "/v2/models/degas/infer"


@dataclass
class Request:
    kind: str  # those of a kind differ in the same way
    method: str = "POST"
    path: str = INFER
    body: bytes = b""
    headers: dict = field(default_factory=dict)


class Draw:
    """Draws requests for a model whose codes are below known, in rows of window."""

    def __init__(self, seed, ids, window, known):
        self.rng, self.ids, self.window, self.known = random.Random(seed), ids, window, known

    def name(self):
        rng = self.rng
        label = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789-_") for _ in range(rng.randint(1, 30)))
        return rng.choice([
            "google.com", "Example.ORG.", f"{label}.com", f"www.{label}.co.uk", f"https://{label}.net/a?b=c",
            f"{label}.eu:443", "192.0.2.1", "bücher.example", "münchen.de", "", "#", f'{label}"\\.com',
            "\u00e9\u4e2d.org", f"{label}.{label}.{label}.info",
        ])

    def names(self, low=1):
        return [self.name() for _ in range(self.rng.randint(low, 12))]

    def rows(self):
        return [[self.rng.randrange(self.known) for _ in range(self.window)] for _ in range(self.rng.randint(1, 4))]

    def by_name(self, names=None, **more):
        names = self.names() if names is None else names
        return {"name": "name", "shape": [len(names)], "datatype": "BYTES", "data": names} | more

    def by_ids(self, rows=None, **more):
        rows = self.rows() if rows is None else rows
        flat = [x for row in rows for x in row]
        return {"name": self.ids, "shape": [len(rows), self.window], "datatype": "INT64", "data": flat} | more

    def valid(self):
        """One request of each valid kind."""
        rng = self.rng
        yield json_request("names", self.by_name())
        yield json_request("names, one", self.by_name([self.name()]))
        names = self.names()
        yield json_request("names, nested", self.by_name(names, data=[[n] for n in names]))
        yield json_request("names [n, 1]", self.by_name(names := self.names(), shape=[len(names), 1]))
        yield json_request("no names", self.by_name([]))
        yield json_request("codes", self.by_ids())
        yield json_request("codes, nested", self.by_ids(rows := self.rows(), data=rows))
        yield json_request("codes INT32", self.by_ids(datatype="INT32"))
        yield json_request("id", self.by_name(), id=f"r{rng.randrange(1000)}", parameters={"x": "y"})
        yield json_request("empty id", self.by_ids(), id="")
        outputs = rng.sample(["label", "score", "scores"], rng.randint(1, 2))
        yield json_request("outputs", self.by_name(), outputs=[{"name": o} for o in outputs])
        yield json_request("no outputs", self.by_ids(), outputs=[])
        yield json_request("an output twice", self.by_ids(), outputs=[{"name": "score"}, {"name": "score"}])
        yield json_request("null fields", self.by_ids(), id=None, outputs=None, parameters=None)
        binary = {"name": "scores", "parameters": {"binary_data": True}}
        yield json_request("binary output", self.by_ids(), outputs=[binary, {"name": "label"}])
        yield json_request("binary outputs", self.by_name(), parameters={"binary_data_output": True})
        yield binary_request("binary names", self.by_name(), text_bytes(names := self.names()), shape=[len(names)])
        rows = self.rows()
        raw = struct.pack(f"<{len(rows) * self.window}q", *(x for row in rows for x in row))
        yield binary_request("binary codes", self.by_ids(rows), raw)
        for coding, pack in ("gzip", gzip.compress), ("deflate", zlib.compress):
            r = json_request(coding, self.by_name())
            yield Request(r.kind, body=pack(r.body), headers=r.headers | {"Content-Encoding": coding})

    def broken(self):
        """One request of each broken kind."""
        rng = self.rng
        whole = json.dumps({"inputs": [self.by_name()]}).encode()
        yield Request("cut off", body=whole[: rng.randrange(1, len(whole))])
        yield Request("no body")
        yield Request("a list", body=b"[]")
        yield Request("no inputs key", body=b"{}")
        yield Request("no inputs", body=b'{"inputs": []}')
        yield Request("inputs are no list", body=b'{"inputs": {"name": "name"}}')
        for key in "name", "datatype", "shape", "data":
            yield json_request(f"no {key}", {k: v for k, v in self.by_name().items() if k != key})
        yield json_request("too few names", self.by_name(shape=[rng.randint(13, 99)]))
        yield json_request("too many names", self.by_name(self.names(2), shape=[1]))
        yield json_request("too few codes", self.by_ids(shape=[rng.randint(5, 99), self.window]))
        yield json_request("wrong window", self.by_ids(shape=[1, self.window - 1], data=[1] * (self.window - 1)))
        yield json_request("negative size", self.by_name(shape=[-1]))
        yield json_request("unknown input", self.by_name(name="nobody"))
        yield json_request("names as INT32", self.by_name(datatype="INT32", data=[1], shape=[1]))
        yield json_request("codes as FP32", self.by_ids(datatype="FP32"))
        yield json_request("unknown datatype", self.by_ids(datatype="INT63"))
        yield json_request("a number as a name", self.by_name(data=[7], shape=[1]))
        yield json_request("a text as a code", self.by_ids([["a"] * self.window]))
        yield json_request("a fraction as a code", self.by_ids([[0.5] * self.window]))
        yield json_request("unknown code", self.by_ids([[self.known + rng.randrange(1000)] * self.window]))
        yield json_request("unknown output", self.by_name(), outputs=[{"name": "nobody"}])
        yield json_request("a number as id", self.by_name(), id=7)
        yield json_request("both inputs", self.by_name(), self.by_ids())
        yield binary_request("binary, too long", self.by_name(["a"]), text_bytes(["a"]) + b"x", size=5)
        yield binary_request("binary, too short", self.by_name(["a"]), text_bytes(["a"]), size=50)
        yield binary_request("binary, wrong length", self.by_name(["a"]), b"\xff\xff\xff\xffa")
        yield binary_request("binary, wrong count", self.by_name(["a", "b"]), text_bytes(["a"]))
        yield binary_request("binary, odd codes", self.by_ids([[1] * self.window]), b"\x01" * 7)
        yield Request("header too long", body=b"{}", headers={"Inference-Header-Content-Length": "10"})
        yield Request("no gzip", body=whole, headers={"Content-Encoding": "gzip"})
        yield Request("unknown coding", body=whole, headers={"Content-Encoding": "br"})
        yield Request("unknown model", path="/v2/models/nobody/infer", body=whole)
        yield Request("unknown version", path="/v2/models/degas/versions/9/infer", body=whole)

    def about(self):
        """What is asked about the server and its models."""
        for kind, path in {
            "server": "/v2", "live": "/v2/health/live", "ready": "/v2/health/ready", "model": "/v2/models/degas",
            "model version": "/v2/models/degas/versions/1", "model ready": "/v2/models/degas/ready",
            "unknown model's metadata": "/v2/models/nobody", "unknown model ready": "/v2/models/nobody/ready",
            "unknown version's metadata": "/v2/models/degas/versions/9", "unknown path": "/v2/nothing",
            "infer by GET": INFER,
        }.items():
            yield Request(kind, "GET", path)
        yield Request("index", path="/v2/repository/index", body=b"{}")
        yield Request("index, cut off", path="/v2/repository/index", body=b'{"ready"')
        yield Request("model by POST", path="/v2/models/degas", body=b"{}")

    def requests(self, count):
        out = list(self.about())
        while len(out) < count:
            out += self.valid()
            out += self.broken()
        return out[:count]


def json_request(kind, *inputs, **fields):
    return Request(kind, body=json.dumps(fields | {"inputs": inputs}).encode())


def binary_request(kind, tensor, raw, size=None, **more):
    del tensor["data"]
    tensor |= more | {"parameters": {"binary_data_size": len(raw) if size is None else size}}
    header = json.dumps({"inputs": [tensor]}).encode()
    return Request(kind, body=header + raw, headers={"Inference-Header-Content-Length": str(len(header))})


def text_bytes(texts):
    return b"".join(struct.pack("<I", len(t := text.encode())) + t for text in texts)
