#!/usr/bin/env python3
"""The report of scripts/gpu-check.

Usage: scripts/gpu_report.py gpu-check.json   prints it again from what a run kept
"""
import json, math, sys
from pathlib import Path

PRESETS = ("cnn", "lstm", "degas", "hybrid")
PRECISIONS = ("fp32", "tf32", "bf16")
TARGETS = [
    ("cnn", "train", 4096, 8),
    ("cnn", "infer", None, 10),
    ("lstm", "train", 4096, 2),
    ("lstm", "infer", None, 1.5),
]
# Peak numbers of the makers: memory, TB/s; fp32, tf32 and bf16 (dense) in TFLOP/s.
PEAKS = {"H100": (3.35, 67, 495, 989), "H200": (4.8, 67, 495, 989), "A100": (2.0, 19.5, 156, 312)}
# What a name needs at least, window 64 (degas 75), training and inference: FLOP in products after folding, bytes of
# device memory. The LSTM's products are over all steps; its bytes are what the bf16 kernels write for the way back and
# read there, and the gradients that they write and sum up.
WORK = {
    "cnn": (3 * 2 * 1024 * 256, 2 * 1024 * 256, 8 * 1024 * 4, 1024 * 4 + 64),
    "lstm": (3 * 2 * 128 * 512 * 64, 2 * 128 * 512 * 64, 64 * 128 * (12 + 10 + 8 + 10), 64),
    "degas": (
        3 * 2 * (2 * 128 * 128 * 38 + 2432 * 64),
        2 * (2 * 128 * 128 * 38 + 2432 * 64),
        6 * 75 * 128 * 4,
        2 * 75 * 128 * 4,
    ),
}


def failures(ours):
    return [f"{k}: {line}" for k, v in ours.items() if k.endswith("_error") for line in v.splitlines()]


def largest(numbers):
    """The largest of numbers, NaN before all; NaN and infinities come as strings."""
    return max(map(float, numbers), key=lambda x: (math.isnan(x), x), default=math.nan)


def best(theirs, preset, batch, kind):
    """The rival's quickest way, at a batch size or, with None, at any, and its name."""
    found = [(r[kind], f"{r['variant']} {r['precision']}" + ("" if batch else f", batch {r['batch']}"))
             for r in theirs.get("rates", []) if r["preset"] == preset and kind in r and batch in (None, r["batch"])]
    return max(found, default=(None, ""))


def rival(theirs, r, kind):
    """The rival's best for a measurement of ours, at its batch size and precision, or None."""
    return max(
        (
            x[kind]
            for x in theirs.get("rates", [])
            if kind in x and all(x[k] == r[k] for k in ("preset", "batch", "precision"))
        ),
        default=None,
    )


def limits(gpu, r):
    """What the makers' peak numbers allow in names/s, for training and inference, or two times nothing."""
    peak = next((v for k, v in PEAKS.items() if k in gpu["name"]), None)
    if not peak or r["preset"] not in WORK:
        return "", ""
    train, infer, moved, read = WORK[r["preset"]]
    rate = peak[1 + PRECISIONS.index(r["precision"])] * 1e12
    return [f"{1 / (flop / rate + size / (peak[0] * 1e12)):,.0f}" for flop, size in ((train, moved), (infer, read))]


def against(ours, theirs):
    """The targets."""
    out = [
        "## Against PyTorch",
        "",
        "| model | | batch | degas (bf16) | PyTorch, its best | ratio | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, kind, batch, target in TARGETS:
        mine = [
            (r[kind], r["batch"])
            for r in ours.get("speed", [])
            if r["preset"] == preset and r["precision"] == "bf16" and kind in r and batch in (None, r["batch"])
        ]
        rate, at = max(mine, default=(0, batch))
        other, how = best(theirs, preset, batch, kind)
        ratio = f"{rate / other:.1f}×" if other else "unmeasured"
        out.append(
            f"| `{preset}` | {dict(train='training', infer='inference')[kind]} | {at} | {rate:,.0f} | "
            f"{f'{other:,.0f} ({how})' if other else ''} | **{ratio}** | ≥ {target}× |"
        )
    e = ours.get("epoch") or {"names": 0, "seconds": math.nan, "first_seconds": math.nan}
    return out + [
        "",
        f"One epoch of {e['names']:,.0f} names, `cnn`, batch 4096, shuffling, training and validation: "
        f"{e['seconds']:.2f} s (target 1 s); the first, which",
        f"also encodes the names, copies them and loads the kernels: {e['first_seconds']:.2f} s.",
        "",
    ]


def speeds(ours, theirs):
    """All measurements, and where the rival was quicker."""
    out = [
        "## By batch size and precision",
        "",
        "Names/s. The limits are what the makers' peak numbers allow for the bytes and the products of a name; what "
        "lies between is launches,",
        "element-wise work, tiles that are not full and, in inference, the way to the device and back.",
        "",
        "| model | precision | batch | training | inference | limit, training | limit, inference | PyTorch, training | "
        "PyTorch, inference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    slower = []
    for r in sorted(
        ours.get("speed", []), key=lambda r: (PRESETS.index(r["preset"]), PRECISIONS.index(r["precision"]), r["batch"])
    ):
        others = [rival(theirs, r, k) for k in ("train", "infer")]
        numbers = [f"{r[k]:,.0f}" if k in r else r.get("problem", "") for k in ("train", "infer")]
        out.append(
            f"| `{r['preset']}` | {r['precision']} | {r['batch']} | "
            + " | ".join([*numbers, *limits(ours["devices"][0], r), *(f"{x:,.0f}" if x else "" for x in others)])
            + " |"
        )
        slower += [
            f"`{r['preset']}` {r['precision']} {dict(train='training', infer='inference')[k]} at {r['batch']}"
            for k, x in zip(("train", "infer"), others)
            if x and r.get(k, 0) < x
        ]
    out += ["", f"PyTorch was quicker in {', '.join(slower) or 'none'}" + overall(ours, theirs)]
    compiled = sorted(
        {
            (r["preset"], r["precision"], r["batch"])
            for r in theirs.get("rates", [])
            if r["variant"] == "compile" and "train" in r
        }
    )
    packed = sorted(
        {(r["precision"], r["batch"]) for r in theirs.get("rates", []) if r["variant"] == "packed" and "train" in r}
    )
    out += [
        "",
        "PyTorch was compiled for "
        + ", ".join(f"`{p}` {c} {b}" for p, c, b in compiled)
        + "; packed for "
        + ", ".join(f"{c} {b}" for c, b in packed)
        + "; everything else is eager.",
    ]
    failed = [
        f"`{r['preset']}` {r['precision']} {r['variant']} at {r['batch']}: {r['problem']}"
        for r in theirs.get("rates", [])
        if "problem" in r
    ]
    if failed or theirs.get("missed"):
        out += [
            "",
            f"Not measured of PyTorch, for want of time: {theirs.get('missed', 0)}. Failed: "
            f"{'; '.join(failed) or 'none'}.",
        ]
    return out + [""]


def overall(ours, theirs):
    """Where the rival's best over all batch sizes is better than ours."""
    ahead = []
    for preset in PRESETS:
        for precision in PRECISIONS:
            for kind, name in (("train", "training"), ("infer", "inference")):
                mine, other = (
                    max(
                        (r[kind] for r in side if r["preset"] == preset and r["precision"] == precision and kind in r),
                        default=0,
                    )
                    for side in (ours.get("speed", []), theirs.get("rates", []))
                )
                if other > mine:
                    ahead.append(f"`{preset}` {precision} {name}")
    return (
        f"; by the best of all batch sizes in {', '.join(ahead)}."
        if ahead
        else "; by the best of all batch sizes nowhere."
    )


def products(ours, theirs):
    """What the dense layer's own kernel and cuBLAS take for the same products."""
    out = [
        "## The dense layer's products",
        "",
        "Microseconds for `cnn`'s dense layer at batch 4096, one launch after the other. degas's kernel takes values "
        "in fp32 and rounds them",
        "to bf16 on the way, but for the weights, which are rounded once a step beforehand, and gives fp32; cuBLAS "
        "(through PyTorch) takes bf16 and gives",
        "bf16, or takes both matrices in fp32 and casts them first.",
        "",
        "| product | m × n × k | degas | cuBLAS | with casts |",
        "|---|---|---|---|---|",
    ]
    for p in ours.get("products", []):
        other = next((r for r in theirs.get("products", []) if r["use"] == p["use"]), {})
        use = p["use"] + (
            "" if p.get("summed") or p["use"] != "gradient of the weights" else ", without adding up its shares"
        )
        out.append(
            f"| {use} | {p['m']} × {p['n']} × {p['k']} | {p['microseconds']:.1f} | "
            + " | ".join(f"{other[k]:.1f}" if k in other else "unmeasured" for k in ("microseconds", "with_casts"))
            + " |"
        )
    return out + [""]


def agreement(ours):
    """How far both engines lie apart."""
    out = [
        "## Agreement with the CPU engine",
        "",
        "Largest difference of a parameter's gradient, by its norm; largest relative difference of the loss over the "
        "steps, without dropout.",
        "",
        "| model | precision | gradient | steps | loss | last loss | the CPU's |",
        "|---|---|---|---|---|---|---|",
    ]
    gradients, trajectories = ours.get("gradients", {}), ours.get("trajectories", {})
    for key in sorted({*gradients, *trajectories}):
        preset, precision = key.split()
        gradient = f"{largest(gradients[key].values()):.1e}" if key in gradients else ""
        t = trajectories.get(key)
        walk = (
            f"{t['steps']} | {float(t['largest_relative_difference']):.1e} | {float(t['last_loss']):.5f} | "
            f"{float(t['last_loss_cpu']):.5f}"
            if t
            else " | | |"
        )
        out.append(f"| `{preset}` | {precision} | {gradient} | {walk} |")
    aucs = ", ".join(f"{k} {float(v):.5f}" for k, v in (ours.get("auc") or {}).items())
    return out + [
        "",
        f"Validation AUC of `cnn` after 5 epochs, the same seed, and so the same order of names and the same masks: "
        f"{aucs} (target: CUDA within 0.0005 of the CPU).",
        "",
    ]


def report(ours, theirs):
    gpu = ours["devices"][0]
    head = [
        "# Speed on a GPU",
        "",
        f"Measured by `scripts/gpu-check` on {ours['date']}: {gpu['name']}, driver for CUDA {gpu['driver']}, degas "
        f"{ours['commit']} with kernels {ours['ptx'][:12]}"
        + (f", PyTorch {theirs['version']}, cuDNN {theirs['cudnn']}" if theirs else ", without PyTorch")
        + ". `scripts/gpu-check --build` builds",
        "what has to be carried to a machine with a GPU, "
        "`scripts/gpu-check` there runs it, in at most 8 minutes, each part and preset in a process of its own.",
        "",
        "Names of the built-in sample, window 64 (75 for `degas`). The training set lies on the device, as "
        "`train-model` keeps it; inference",
        "includes copying codes there and scores back. PyTorch: fp32 weights under autocast, the better of eager, "
        "torch.compile and, for the LSTM, packed",
        "sequences where they were measured (below), one batch that lies on the device already, for training and for "
        "inference.",
        "",
    ]
    return (
        head
        + against(ours, theirs)
        + speeds(ours, theirs)
        + products(ours, theirs)
        + agreement(ours)
        + [f"Failed: {f}" for f in failures(ours)]
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    kept = json.loads(Path(sys.argv[1]).read_text())
    print("\n".join(report(kept["degas"], kept["torch"])))
