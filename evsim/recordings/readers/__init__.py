"""One file a format, found by being here.

A reader module has two functions:

    recognises(path: Path, head: bytes) -> bool        # head: the first 4096 bytes of the file
    read(path: Path, options: ReadOptions) -> RawEvents | FrameRecording | ImageRecording

A reader copies what the file says; `check.py` then verifies it in one place for all formats.
"""
