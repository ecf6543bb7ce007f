"""Starts the servers that degas' own is compared with, each with an exported model: Triton 2.51.0, which the package
nvidia-pytriton holds, and MLServer 1.7.1. `degas serve` starts here as well.

Every server is a context that gives the URL of its Open Inference Protocol:

    with serving_peers.triton(folder, export) as url: …

folder keeps the Python environments, which are made at the first use (about 500 MB and two minutes each), and the
servers' files and logs. export is a version directory of export-model. The servers listen on this machine only.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
MODEL = "degas"
COMMON = ["onnxruntime==1.31.1", "idna==3.20"]
# With NumPy 2 the stub of Triton's Python backend reads wrong lengths of texts, and dies.
TRITON = [*COMMON, "numpy==1.26.4", "tritonclient[http]==2.73.0"]
TRITON_ALONE = ["nvidia-pytriton==0.7.0"]  # its own dependencies are for PyTriton, of which only the server is used
MLSERVER = [*COMMON, "mlserver==1.7.1"]


def environment(folder, name, pins, alone=()):
    """A Python environment with exactly these packages, made anew if they have changed. It gives the interpreter."""
    venv, stamp = Path(folder).resolve() / name, " ".join([*pins, *alone])
    python, done = venv / "bin/python", venv / ".degas-pins"
    if done.is_file() and done.read_text() == stamp:
        return python
    print(f"making {venv}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *pins], check=True, stdout=sys.stderr)
    if alone:
        subprocess.run([*pip, "--no-deps", *alone], check=True, stdout=sys.stderr)
    done.write_text(stamp)
    return python


def triton_python(folder):
    """Triton's environment, which has tritonclient too."""
    return environment(folder, "triton", TRITON, TRITON_ALONE)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def running(name, folder, command, ready, cwd=None, **env):
    """A server, which has to answer ready within two minutes. Its process group ends with the context."""
    log = Path(folder) / f"{name}.log"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd, env=env, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(ready, timeout=5).read()
                break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} does not answer: see {log}\n" + log.read_text(errors="replace")[-3000:])
            time.sleep(0.2)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def manifest(export):
    return json.loads((Path(export) / "manifest.json").read_text())


def exported(folder, command):
    """The built-in model's export, made anew."""
    to = Path(folder) / "export/1"
    export = [*shlex.split(command), "export-model", "--format", "onnx", "--overwrite", "--to", str(to)]
    subprocess.run(export, check=True, cwd=SCRIPTS.parent, stdout=sys.stderr)
    return to


def codes(export):
    """One more than the highest code of a model that has no embedding of its own size."""
    encoder = manifest(export)["encoder"]
    return max(encoder["base"] + len(encoder["alphabet"]), encoder["pad"] + 1, encoder["unknown"] + 1)


def tensors(export):
    """The inputs and outputs of degas' protocol: name, datatype, shape."""
    m = manifest(export)
    return [("name", "BYTES", [-1]), (m["input"], "INT64", [-1, m["encoder"]["window"]])], [
        ("label", "BYTES", [-1]),
        ("score", "FP32", [-1, 1]),
        ("scores", "FP32", [-1, len(m["labels"])]),
    ]


@contextlib.contextmanager
def triton(folder, export, threads=0, instances=1):
    """Triton with the Python backend. threads is what ONNX Runtime may use in an instance, 0 for its default."""
    folder = Path(folder).resolve()
    python = triton_python(folder)
    site = next((folder / "triton/lib").glob("python3.*/site-packages"))
    server = site / "pytriton/tritonserver"
    stub = server / "backends/python/triton_python_backend_stub"
    if not stub.exists():
        version = site.parent.name.removeprefix("python")
        shutil.copy2(server / "python_backend_stubs" / version / "triton_python_backend_stub", stub)
    where = folder / "triton-models"
    shutil.rmtree(where, ignore_errors=True)
    (where / MODEL / "1").mkdir(parents=True)
    (where / MODEL / "1/model.py").write_text(
        f"import sys\n\nsys.path[:0] = [{str(site)!r}, {str(SCRIPTS)!r}]\n"
        "from serving_model import TritonPythonModel  # noqa\n"
    )
    (where / MODEL / "config.pbtxt").write_text(triton_config(export, instances))
    http, libraries = free_port(), [str(p) for p in site.glob("nvidia_pytriton.libs")]
    base = subprocess.check_output([python, "-c", "import sys; print(sys.base_prefix)"], text=True).strip()
    command = [server / "bin/tritonserver", f"--model-repository={where}", f"--http-port={http}",
               "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false",
               f"--backend-directory={server / 'backends'}", f"--cache-directory={server / 'caches'}"]
    env = {"DEGAS_EXPORT": str(Path(export).resolve()), "PATH": f"{python.parent}:{os.environ['PATH']}",
           "DEGAS_THREADS": str(threads),
           "LD_LIBRARY_PATH": ":".join([*libraries, f"{base}/lib", os.environ.get("LD_LIBRARY_PATH", "")])}
    url = f"http://127.0.0.1:{http}"
    with running("triton", folder, command, url + "/v2/health/ready", **env):
        yield url


TRITON_TYPES = {"BYTES": "TYPE_STRING", "INT64": "TYPE_INT64", "FP32": "TYPE_FP32"}


def triton_config(export, instances):
    inputs, outputs = tensors(export)

    def block(kind, listed, more=""):
        return [
            f'{kind} {{ name: "{name}" data_type: {TRITON_TYPES[datatype]} dims: {shape} {more}}}'
            for name, datatype, shape in listed
        ]

    lines = [f'name: "{MODEL}"', 'backend: "python"', "max_batch_size: 0",
             f"instance_group {{ kind: KIND_CPU count: {instances} }}"]
    return "\n".join([*lines, *block("input", inputs, "optional: true "), *block("output", outputs)]) + "\n"


@contextlib.contextmanager
def mlserver(folder, export):
    """MLServer with a runtime of our own, in one process."""
    folder = Path(folder).resolve()
    python = environment(folder, "mlserver", MLSERVER)
    where = folder / "mlserver-models"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    http = free_port()
    (where / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": http, "grpc_port": free_port(), "metrics_port": free_port(),
        "parallel_workers": 0, "debug": False,
    }))
    inputs, outputs = ([{"name": n, "datatype": d, "shape": s} for n, d, s in side] for side in tensors(export))
    (where / "model-settings.json").write_text(json.dumps({
        "name": MODEL, "implementation": "serving_model.MLServerModel", "parameters": {"version": "1"},
        "platform": "onnx", "inputs": inputs, "outputs": outputs,
    }))
    url = f"http://127.0.0.1:{http}"
    command = [python.parent / "mlserver", "start", where]
    env = {"DEGAS_EXPORT": str(Path(export).resolve()), "PYTHONPATH": str(SCRIPTS)}
    with running("mlserver", folder, command, url + "/v2/health/ready", **env):
        yield url


@contextlib.contextmanager
def degas(folder, export, command="go run ./cmd/degas"):
    """degas serve, with the same model under the same name."""
    url = f"127.0.0.1:{free_port()}"
    serve = [*shlex.split(command), "serve", "--addr", url, "--name", MODEL, str(Path(export).resolve())]
    with running("degas", folder, serve, f"http://{url}/v2/health/ready", cwd=SCRIPTS.parent):
        yield f"http://{url}"
