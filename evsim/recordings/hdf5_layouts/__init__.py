"""One file a layout inside HDF5, found by being here.

A layout module has two functions:

    recognises(file: h5py.File) -> bool
    read(path: Path, file: h5py.File, options: ReadOptions) -> RawEvents | FrameRecording

and, where `read` heeds ``options.part`` so that long files can be read in pieces,

    n_events(file: h5py.File, options: ReadOptions) -> int

`recognises_below(file)` may find what no layout knows at its usual place; `TAKES_ORDER` says whether an order of
columns may be told.
"""
