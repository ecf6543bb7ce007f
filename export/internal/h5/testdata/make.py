"""Makes the files beside it with h5py: python3 make.py. They are kept as base64 of gzip."""
import base64, gzip, io
import h5py, numpy as np


def keep(name, fill, **how):
    b = io.BytesIO()
    with h5py.File(b, "w", **how) as f:
        fill(f)
    data = base64.encodebytes(gzip.compress(b.getvalue(), mtime=0))
    open(name + ".gz.b64", "wb").write(data)


def tree(f):
    f.attrs["model_config"] = '{"a": 1}'
    f.attrs["layer_names"] = np.array([b"dense", b"a"])
    f.attrs["none"] = np.zeros((0,))
    f["model_weights/dense/dense/kernel:0"] = np.arange(1, 7, dtype="<f4").reshape(2, 3)


def numbers(f):
    v = [1.5, -2, 0, 65504]
    f["f2"], f["f4be"], f["f8"] = np.array(v, "<f2"), np.array(v, ">f4"), np.array(v, "<f8")
    f["ints"] = np.arange(4)
    f.create_dataset("chunked", data=np.array(v, "<f4"), chunks=(2,))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    d = h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), plist)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(v, "<f4"))
    for i in range(300):
        f.create_group(f"many/g{i:03}")


keep("earliest", tree, libver="earliest")
keep("latest", tree, libver="latest")
keep("v110", tree, libver=("v110", "v110"))
keep("numbers", numbers)
