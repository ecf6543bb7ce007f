"""The rivals of scripts/bench-cpu: PyTorch and Keras (TensorFlow) on the same names, layers and batch sizes."""
import json, os, statistics, sys, time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
THREADS = 2
NAME_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-._"
DEGAS_ALPHABET = "0123456789:-./_abcdefghijklmnopqrstuvwxyz"


def encode(names, preset):
    """Codes [n, window], padded on the left, and the number of characters of each name."""
    import numpy as np
    alphabet, base, unknown, window = (DEGAS_ALPHABET, 0, 41, 75) if preset == "degas" else (NAME_ALPHABET, 2, 1, 64)
    table = {c: i + base for i, c in enumerate(alphabet)}
    out, chars = np.zeros((len(names), window), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
    for i, n in enumerate(names):
        codes = [table.get(c, unknown) for c in n.lower()[-window:]]
        chars[i] = max(len(codes), 1)
        if codes:
            out[i, window - len(codes):] = codes
    return out, chars


def measure(work, n, repeat, seconds):
    work(); work()
    rates = []
    for _ in range(repeat):
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            work()
            calls += 1
        rates.append(calls * n / (time.perf_counter() - began))
    return statistics.median(rates)


def torch_model(preset):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class CNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(41, 128)
            self.convs = nn.ModuleList(nn.Conv1d(128, 256, k) for k in (2, 3, 4, 5))
            self.hidden, self.head = nn.Linear(1024, 256), nn.Linear(256, 1)

        def forward(self, x, chars=None):
            e = self.embed(x).transpose(1, 2)
            h = torch.cat([F.relu(c(e)).amax(2) for c in self.convs], 1)
            return self.head(F.dropout(F.relu(self.hidden(h)), 0.5, self.training))[:, 0]

    class LSTM(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.lstm, self.head = (
                nn.Embedding(41, 128),
                nn.LSTM(128, 128, batch_first=True),
                nn.Linear(128, 1),
            )

        def forward(self, x, chars=None):
            if chars is None:
                h = self.lstm(self.embed(x))[1][0][0]
            else:  # x is padded on the right here
                packed = nn.utils.rnn.pack_padded_sequence(self.embed(x), chars, batch_first=True, enforce_sorted=False)
                h = self.lstm(packed)[1][0][0]
            return self.head(F.dropout(h, 0.5, self.training))[:, 0]

    class Degas(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(128, 128)
            self.conv1, self.conv2 = nn.Conv1d(128, 128, 3), nn.Conv1d(128, 128, 2)
            self.hidden, self.head = nn.Linear(2432, 64), nn.Linear(64, 1)

        def forward(self, x, chars=None):
            h = self.embed(x).transpose(1, 2)
            h = F.max_pool1d(F.threshold(self.conv1(F.pad(h, (1, 1))), 1e-6, 0.0), 2, ceil_mode=True)
            h = F.max_pool1d(F.threshold(self.conv2(F.pad(h, (0, 1))), 1e-6, 0.0), 2, ceil_mode=True)
            h = F.threshold(self.hidden(h.transpose(1, 2).flatten(1)), 1e-6, 0.0)
            return self.head(F.dropout(h, 0.5, self.training))[:, 0]

    return {"cnn": CNN, "lstm": LSTM, "degas": Degas}[preset]()


def run_torch(preset, batch, names, repeat, seconds):
    import torch
    torch.set_num_threads(THREADS)
    codes, chars = encode(names, preset)
    x = torch.from_numpy(codes)
    lengths = torch.from_numpy(chars)
    right = torch.zeros_like(x)
    if preset == "lstm":
        for i, n in enumerate(chars):
            right[i, :n] = x[i, x.shape[1] - n:]
    y = (torch.arange(len(names)) % 2).float()
    out = {}
    variants = ["eager", "compile"] + (["packed"] if preset == "lstm" else [])
    for variant in variants:
        torch.manual_seed(1)
        model = torch_model(preset)
        fn = torch.compile(model) if variant == "compile" else model
        opt = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        loss = torch.nn.BCEWithLogitsLoss()
        at = 0

        def pick():
            nonlocal at
            if at + batch > len(names):
                at = 0
            at += batch
            s = slice(at - batch, at)
            return (right[s], lengths[s], y[s]) if variant == "packed" else (x[s], None, y[s])

        def step():
            a, n, t = pick()
            opt.zero_grad(set_to_none=True)
            loss(fn(a, n), t).backward()
            opt.step()

        def infer():
            a, n, _ = pick()
            with torch.inference_mode():
                torch.sigmoid(fn(a, n))

        try:
            model.train()
            out[variant + " train"] = measure(step, batch, repeat, seconds)
            model.eval()
            out[variant + " infer"] = measure(infer, batch, repeat, seconds)
        except Exception as e:  # torch.compile needs a C++ compiler
            print(f"torch {preset} {variant}: {type(e).__name__}: {str(e)[:200]}", file=sys.stderr)
    out["version"] = torch.__version__
    return out


def run_keras(preset, batch, names, repeat, seconds):
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras
    from keras import layers as L
    codes, _ = encode(names, preset)
    codes = codes.astype("int32")
    inp = keras.Input((codes.shape[1],), dtype="int32")
    if preset == "cnn":
        e = L.Embedding(41, 128)(inp)
        h = L.Concatenate()([L.GlobalMaxPooling1D()(L.Conv1D(256, k, activation="relu")(e)) for k in (2, 3, 4, 5)])
        h = L.Dropout(0.5)(L.Dense(256, activation="relu")(h))
    elif preset == "lstm":
        h = L.Dropout(0.5)(L.LSTM(128)(L.Embedding(41, 128)(inp)))
    else:
        h = L.Embedding(128, 128)(inp)
        for k in (3, 2):
            h = L.MaxPooling1D(2, padding="same")(L.ReLU(threshold=1e-6)(L.Conv1D(128, k, padding="same")(h)))
        h = L.Dropout(0.5)(L.ReLU(threshold=1e-6)(L.Dense(64)(L.Flatten()(h))))
    model = keras.Model(inp, L.Dense(1, activation="sigmoid")(h))
    model.compile("adam", "binary_crossentropy")
    import numpy as np
    y = (np.arange(batch) % 2).astype("float32")[:, None]
    at = 0

    def pick():
        nonlocal at
        if at + batch > len(names):
            at = 0
        at += batch
        return codes[at - batch:at]

    return {
        "train": measure(lambda: model.train_on_batch(pick(), y), batch, repeat, seconds),
        "infer": measure(lambda: model.predict_on_batch(pick()), batch, repeat, seconds),
        "version": f"{keras.__version__}, TensorFlow {tf.__version__}",
    }


if __name__ == "__main__":
    framework, preset, batch, path, repeat, seconds = sys.argv[1:7]
    names = open(path).read().split("\n")[:-1]
    run = {"torch": run_torch, "keras": run_keras}[framework]
    print(json.dumps(run(preset, int(batch), names, int(repeat), float(seconds))))
