import json, re
import idna, numpy, onnxruntime  # pip install idna onnxruntime

model = json.load(open("manifest.json"))
session = onnxruntime.InferenceSession("model.onnx")
encoder, labels = model["encoder"], model["labels"]
code = {c: encoder["base"] + i for i, c in enumerate(encoder["alphabet"])}
valid = re.compile(r"(?!.{254})([a-z0-9_+=/?-]{1,63}\.)*[a-z0-9_+=/?-]{1,63}").fullmatch

def to_ascii(name):
    try:
        parts = re.split("[.\u3002\uff0e\uff61]", name.rstrip(".\u3002\uff0e\uff61"))
        parts = [p.lower() if p.isascii() else idna.uts46_remap(p) for p in parts]
        parts = [p if p.isascii() else "xn--" + p.encode("punycode").decode() for p in parts]
        if valid(".".join(parts)):
            return ".".join(parts)
    except idna.IDNAError:
        pass
    return re.sub(r"[^\0-\x7f]", "?", name).lower()  # bytes of a tunnel

def fold(name):
    """The form of a name that the model scores, "" for what is no name."""
    name = name.strip()
    if url := re.match(r"[^/?#]*?://([^/?#]*)", name):
        name = url[1].rpartition("@")[2]
    elif path := re.match(r"([^/?#:+=]+\.([^\W\d]{2,}|xn--[\w-]+|(\d+\.){2}\d+)\.?(:\d*)?)[/?#]", name, re.I):
        name = path[1]
    name = to_ascii(re.sub(r"^([^:]*):[0-9]*\Z", r"\1", name).rstrip("."))
    return name if valid(name) and not re.fullmatch(r"[0-9]*(\.[0-9]*){3}", name) else ""

def encode(name):
    name = name[:encoder["window"]] if encoder["keep"] == "first" else name[-encoder["window"]:]
    codes = [code.get(c, encoder["unknown"]) for c in (reversed(name) if encoder.get("reverse") else name)]
    padding = [encoder["pad"]] * (encoder["window"] - len(codes))
    return codes + padding if encoder["pad_side"] == "right" else padding + codes

def predict(names):
    folded = [fold(n) for n in names]
    codes = numpy.array([encode(f) for f in folded], "int64")
    scores, rows = session.run(["score", "probabilities"], {model["input"]: codes})
    for name, f, score, row in zip(names, folded, scores[:, 0].tolist(), rows):
        malicious = score >= model["threshold"]
        yield (name, score, labels[1 + row[1:].argmax()] if malicious else labels[0]) if f else (name, 0.0, "invalid")

if __name__ == "__main__":
    for verdict in predict(["google.com.", "M\u00dcNCHEN.de:443", "https://xjpakmdcfuqe.biz/a", "192.0.2.1"]):
        print(*verdict)
