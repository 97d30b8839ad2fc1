"""One file a format, found by being here.

A reader module has two functions:

    recognises(path: Path, head: bytes) -> bool        # head: the first 4096 bytes of the file
    read(path: Path, options: ReadOptions) -> RawEvents | FrameRecording | ImageRecording

A format that can be read as it arrives has a class `Decoder` (see `decoding.py`; `header_decoder.py` for a header and
records) in place of `read`. What a user may say with --layout beside the reader's own name is in `LAYOUTS`, and
`TAKES_ORDER` says whether an order of columns may be told. A format that can be read in parts has

    pieces(path: Path, options: ReadOptions, n: int) -> Iterator[RawEvents] | None     # n events at a time

A reader copies what the file says; `check.py` then verifies it in one place for all formats.
"""
