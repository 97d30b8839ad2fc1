"""A small sound file of every format a reader knows, for the fuzzer."""

import gzip

import numpy as np


def write_seeds(folder, encoders):
    """The paths by name; the suffix matters for formats without a signature."""
    events, small = encoders.some_events(300), encoders.some_events(300, 34, 34)
    seeds = {
        "evt2": ("a.raw", encoders.evt2(events)),
        "evt21": ("b.raw", encoders.evt21(events)),
        "evt3": ("c.raw", encoders.evt3(events)),
        "dat": ("a.dat", encoders.dat(events)),
        "es": ("a.es", encoders.event_stream(events)),
        "nmnist": ("a.bin", encoders.nmnist(small)),
        "aedat2": ("a2.aedat", encoders.aedat2(small)),
        "davis": ("d2.aedat", encoders.aedat2(events, b"# AEChip: Davis346\r\n", encoders.davis_address(260, 346))),
        "aedat3": ("a3.aedat", encoders.aedat3(small)),
        "aedat4": ("a.aedat4", encoders.aedat4(events)),
        "csv": ("a.csv", encoders.text(events, header="t,x,y,p\n")),
        "text": ("a.txt", encoders.text(events, between=" ")),
        "faery_csv": ("b.csv", encoders.text(events, header="t,x@160,y@120,on\n")),
        "pandas_csv": ("c.csv", encoders.text(events | {"i": np.arange(300)}, "itxyp", header=",t,x,y,p\n")),
        "metavision_csv": ("d.csv", encoders.text(events, "xypt", header="%geometry:160,120\n")),
        "seconds": (
            "b.txt",
            encoders.text(events | {"t": events["t"] / 1e6}, between=" ", header="# t (s) x y p\n"),
        ),
        "gesture_labels": ("labels.csv", b"class,startTime_usec,endTime_usec\n1,1000,3000\n2,3000,9000\n"),
        **_packed(events, encoders),
        **_images(),
    }
    paths = {}
    for name, (file, data) in seeds.items():
        paths[name] = folder / file
        paths[name].write_bytes(data)
    return paths | _arrays(folder, events, encoders)


def _packed(events, encoders):
    """AEDAT 4 in its two compressions."""
    import lz4.frame
    import zstandard

    return {
        "aedat4_lz4": ("b.aedat4", encoders.aedat4(events, 1, lz4.frame.compress)),
        "aedat4_zstd": ("c.aedat4", encoders.aedat4(events, 3, zstandard.compress)),
    }


def _images():
    """MNIST and CIFAR in their packings."""
    from tests.test_images import idx, python2_pickle

    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    grey = idx(pixels[..., 0])
    records = np.hstack([np.arange(4, dtype=np.uint8)[:, None], pixels.reshape(4, -1)])
    return {
        "idx": ("images-idx3-ubyte", grey),
        "idx_gz": ("images-idx3-ubyte.gz", gzip.compress(grey)),
        "cifar_binary": ("test_batch.bin", records.tobytes()),
        "cifar_pickle": ("test_batch", python2_pickle(pixels, range(4))),
    }


def _arrays(folder, events, encoders):
    """NumPy, HDF5, PNG and JPEG files, written by their own libraries."""
    import h5py
    from PIL import Image

    pixels = np.add.outer(np.arange(24), 5 * np.arange(20)).astype(np.uint8)[..., None].repeat(3, -1)
    np.savez(folder / "events.npz", **events)
    np.savez_compressed(folder / "packed.npz", **events)
    np.savez(folder / "set.npz", x=pixels[None], y=[3])
    np.save(folder / "rows.npy", np.stack([events[name] for name in "txyp"], 1))
    np.save(folder / "frames.npy", np.zeros((2, 2, 9, 8), np.uint8))
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels).save(folder / "a.jpg")
    encoders.ecf_file(folder / "ecf.hdf5", events, 0, 256)
    encoders.ecf_file(folder / "ecf_packed.hdf5", events, 2, 256)
    for name, options in {**_PACKINGS, **_plugins()}.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for column in "txyp":
                file.create_dataset(f"events/{column}", data=events[column], **options)
    columns = np.stack([events[name] for name in "xytp"], 1).astype(np.float64)
    with h5py.File(folder / "mvsec.h5", "w") as file:
        file["davis/left/events"] = columns * [1, 1, 1e-6, 2] - [0, 0, -1.5e9, 1]
    with h5py.File(folder / "m3ed.h5", "w") as file:
        for camera in ("left", "right"):
            for column in "txyp":
                file[f"prophesee/{camera}/{column}"] = events[column]
            file[f"prophesee/{camera}/calib/resolution"] = [160, 120]
    with h5py.File(folder / "bundle.h5", "w") as file:
        for key in "ab":
            for column in "txyp":
                file[f"recordings/{key}/events/{column}"] = events[column]
            file[f"recordings/{key}"].attrs["label"] = 1
    lists = {name: columns[events["p"] == sign][:, [1, 0, 2]] for name, sign in (("pos", 1), ("neg", 0))}
    np.savez(folder / "es_imagenet.npz", **lists)
    np.savez(
        folder / "n_imagenet.npz", event_data=np.rec.fromarrays([events[name] for name in "xytp"], names="x,y,t,p")
    )
    np.savez(folder / "labelled.npz", frames=np.ones((3, 2, 2, 9, 8), np.uint8), labels=np.arange(3))
    with h5py.File(folder / "shd.h5", "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))[:] = [np.arange(9, dtype=kind)] * 2
        file.create_dataset("labels", data=np.array([1, 2]))
    made = ("*.npz", "*.npy", "*.png", "*.jpg", "*.h5", "*.hdf5")
    return {path.name: path for pattern in made for path in sorted(folder.glob(pattern))}


_PACKINGS = {
    "plain": {},
    "gzip": {"chunks": (100,), "compression": "gzip"},
    "lzf": {"chunks": (100,), "compression": "lzf"},
    "checked": {"chunks": (100,), "compression": "gzip", "shuffle": True, "fletcher32": True},
}


def _plugins():
    """What DSEC and others pack with, where the plug-ins are installed."""
    try:
        import hdf5plugin
    except ImportError:
        return {}
    packings = {
        "blosc": hdf5plugin.Blosc(),
        "zstd": hdf5plugin.Zstd(),
        "lz4": hdf5plugin.LZ4(),
        "bitshuffle_lz4": hdf5plugin.Bitshuffle(),
        "bitshuffle_zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    }
    return {name: {"chunks": (100,), **packing} for name, packing in packings.items()}
