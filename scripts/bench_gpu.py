"""The rival of scripts/gpu-check: PyTorch on one GPU, the same names and layers as degas. Prints a JSON object a
line, each with all that there is so far.

Usage: bench_gpu.py NAMES SECONDS BUDGET   NAMES as scripts/gpu-check writes it; SECONDS a measurement;
                                          BUDGET seconds in all
"""

import json, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bench_cpu import encode, torch_model

import torch

names = [line.rsplit(",", 1)[0] for line in open(sys.argv[1]).read().splitlines()]
seconds, deadline = float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
rates = []


def measure(work, n):
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(5):
            work()
        torch.cuda.synchronize()
        calls += 5
    return calls * n / (time.perf_counter() - began)


def one(preset, batch, precision, variant):
    torch._dynamo.reset()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    codes, chars = encode((names * (batch // len(names) + 1))[:batch], preset)
    x, lengths = torch.from_numpy(codes).cuda(), None
    if variant == "packed":  # padded on the right
        lengths, right = torch.from_numpy(chars).clamp(max=codes.shape[1]), torch.zeros_like(torch.from_numpy(codes))
        for i, n in enumerate(lengths):
            right[i, :n] = torch.from_numpy(codes[i, codes.shape[1] - n:])
        x = right.cuda()
    y = (torch.arange(batch) % 2).float().cuda()
    torch.manual_seed(1)
    model = torch_model(preset).cuda()
    fn = torch.compile(model, dynamic=False) if variant == "compile" else model
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss = torch.nn.BCEWithLogitsLoss()

    def answer():
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bf16"):
            return fn(x, lengths)

    def step():
        opt.zero_grad(set_to_none=True)
        loss(answer().float(), y).backward()
        opt.step()

    def infer():
        with torch.inference_mode():
            torch.sigmoid(answer())

    model.train()
    train = measure(step, batch)
    model.eval()
    return train, measure(infer, batch)


def products():
    """cuBLAS on the products of cnn's dense layer, in microseconds."""
    out = []
    for use, m, n, k, a, b in (
        ("forward", 4096, 256, 1024, "n", "n"),
        ("gradient of the input", 4096, 1024, 256, "n", "t"),
        ("gradient of the weights", 1024, 256, 4096, "t", "n"),
    ):
        x = torch.randn((m, k) if a == "n" else (k, m), device="cuda")
        y = torch.randn((k, n) if b == "n" else (n, k), device="cuda")
        x, y = x if a == "n" else x.t(), y if b == "n" else y.t()
        x16, y16 = x.bfloat16(), y.bfloat16()
        out.append(
            {
                "use": use,
                "microseconds": recorded(lambda: x16 @ y16),
                "with_casts": recorded(lambda: x.bfloat16() @ y.bfloat16()),
            }
        )
    return out


def recorded(work, times=50):
    """Microseconds of work in a CUDA graph, where no launch waits for Python."""
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            work()
    return 1e6 / measure(graph.replay, times)


try:
    products = products()
except Exception as e:
    print(f"products: {e}", file=sys.stderr)
    products = []

# Where time runs short, what matters most is there: the batches of the targets first, compiled ones, which take long,
# later.
order = [(b, p, "bf16", "eager") for b in (4096, 16384) for p in ("cnn", "lstm")] + [
    (b, p, "bf16", "compile") for b in (4096, 16384) for p in ("cnn", "lstm")
]
order += [(b, "lstm", "bf16", "packed") for b in (4096, 16384)] + [
    (b, p, c, "eager")
    for c in ("bf16", "tf32", "fp32")
    for b in (4096, 16384, 256, 1024)
    for p in ("cnn", "lstm", "degas")
]
order += [
    (b, p, c, "compile") for b in (4096, 16384) for c in ("bf16", "tf32", "fp32") for p in ("degas", "cnn", "lstm")
]
order = list(dict.fromkeys(order))
for at, (batch, preset, precision, variant) in enumerate(order):
    missed = len(order) - at
    if time.monotonic() > deadline:
        break
    missed -= 1
    r = {"preset": preset, "batch": batch, "precision": precision, "variant": variant}
    try:
        r["train"], r["infer"] = one(preset, batch, precision, variant)
    except Exception as e:
        r["problem"] = f"{type(e).__name__}: {str(e)[:120]}"
    rates.append(r)
    print(r, file=sys.stderr)
    print(
        json.dumps(
            {
                "version": torch.__version__,
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
                "rates": rates,
                "products": products,
                "missed": missed,
            }
        ),
        flush=True,
    )
