"""Asks a server with the real tritonclient: serving_client.py URL INPUT WINDOW. It prints what it has tried, and fails
if an answer is not the one that plain JSON gets. scripts/compare-serving runs it in Triton's environment."""

import json
import sys
import urllib.request

import numpy
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

MODEL = "degas"
NAMES = ["google.com", "xcbeoysoqcbnlvje.eu", "192.0.2.1", "bücher.example"]


def reference(url, tensor):
    """What plain JSON gets: label, score and scores."""
    body = json.dumps({"inputs": [tensor]}).encode()
    answer = json.load(urllib.request.urlopen(f"{url}/v2/models/{MODEL}/infer", body))
    return {t["name"]: numpy.array(t["data"]).reshape(t["shape"]) for t in answer["outputs"]}


def check(what, ok):
    print(("ok    " if ok else "WRONG ") + what)
    return ok


def main(url, ids, window):
    client = http.InferenceServerClient(url.removeprefix("http://"))
    good = [
        check("is_server_live, is_server_ready", client.is_server_live() and client.is_server_ready()),
        check("is_model_ready", client.is_model_ready(MODEL) and not client.is_model_ready("nobody")),
        check("get_server_metadata", "binary_tensor_data" in client.get_server_metadata()["extensions"]),
        check("get_model_metadata", client.get_model_metadata(MODEL)["inputs"][1]["shape"] == [-1, window]),
        check("get_model_repository_index", client.get_model_repository_index()[0]["state"] == "READY"),
    ]
    codes = (numpy.arange(3 * window) % 38).reshape(3, window)
    names = numpy.array([n.encode() for n in NAMES], dtype=object)
    tensors = {
        "name": (names, "BYTES", {"name": "name", "shape": [len(NAMES)], "datatype": "BYTES", "data": NAMES}),
        ids: (codes, "INT64", {"name": ids, "shape": [3, window], "datatype": "INT64", "data": codes.tolist()}),
    }
    for name, (data, datatype, plain) in tensors.items():
        want = reference(url, plain)
        for how in ("defaults", "JSON", "binary in, JSON out", "gzip", "deflate", "async"):
            tensor = http.InferInput(name, data.shape, datatype)
            options = {"defaults": {}, "async": {}, "gzip": {"request_compression_algorithm": "gzip"},
                       "deflate": {"request_compression_algorithm": "deflate",
                                   "response_compression_algorithm": "gzip"}}.get(how)
            tensor.set_data_from_numpy(data, **({"binary_data": False} if how == "JSON" else {}))
            if options is None:
                wanted = [http.InferRequestedOutput(o, binary_data=False) for o in ("scores", "label", "score")]
                options = {"outputs": wanted, "request_id": "7"}
            if how == "async":
                result = client.async_infer(MODEL, [tensor]).get_result()
            else:
                result = client.infer(MODEL, [tensor], **options)
            labels = [x.decode() if isinstance(x, bytes) else x for x in result.as_numpy("label")]
            same = labels == want["label"].tolist() and result.get_response().get("id", "") == options.get(
                "request_id", "")
            for output in "score", "scores":
                got = result.as_numpy(output)
                same = same and got.dtype == numpy.float32 and got.shape == want[output].shape
                same = same and numpy.abs(got - want[output]).max() <= 2e-6
            good.append(check(f"infer {name}, {how}", same))
    tensor = http.InferInput("name", [1], "BYTES")
    tensor.set_data_from_numpy(names[:1])
    for wrong, text in {"nobody": "unknown model: 'nobody' is not found", MODEL: "unexpected inference output"}.items():
        try:
            client.infer(wrong, [tensor], outputs=[http.InferRequestedOutput("nothing")])
            good.append(check(f"an error for {wrong}", False))
        except InferenceServerException as error:
            good.append(check(f"an error for {wrong}: {error}", text in str(error)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
