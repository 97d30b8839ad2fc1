"""Recordings: what event cameras, simulators and image files hold, read into one of three plain types.

Adding a file format is adding one file to `readers/`; adding an HDF5 layout is adding one file to `hdf5_layouts/`.
Nothing is imported until it is asked for, so that `import evsim` stays fast.
"""

from importlib import import_module

_HOME = {
    "EventRecording": "recording",
    "FrameRecording": "recording",
    "ImageRecording": "recording",
    "Recording": "recording",
    "read_recording": "read",
    "write_events_hdf5": "write",
    "bin_events": "binning",
    "bin_file": "long_files",
    "decode_stream": "decoding",
    "find_decoder": "read",
    "iter_events": "stream",
    "Fit": "fit",
    "describe": "description",
    "fit_frames": "fit",
    "parse_fit": "fit_text",
    "Steps": "steps",
    "to_steps": "steps",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
