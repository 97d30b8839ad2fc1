"""PNG and JPEG: one still image, in the three colours unless it is grey and normalised with one mean."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of
from evsim.recordings.discover import one_line, only_one
from evsim.recordings.options import ReadOptions
from evsim.recordings.pixels import n_means
from evsim.recordings.recording import ImageRecording

SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
GREY = ("1", "L", "LA")
COLOUR = ("P", "RGB", "RGBA", "CMYK", "YCbCr")
MAX_BYTES = 2**28
MAX_PIXELS = 2**25
# Deflate packs at most 1032 to 1, and a pixel takes at least one bit.
MAX_PIXELS_PER_BYTE = 8 * 1100


def recognises(path: Path, head: bytes) -> bool:
    """Whether the signature of one of them is there."""
    return _kind(head) is not None


def _kind(head: bytes) -> str | None:
    return next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), None)


def read(path: Path, options: ReadOptions) -> ImageRecording:
    """The image, resized and normalised as the options say."""
    only_one(path, options.index)
    with open(path, "rb") as file:
        kind = _kind(file.read(16))
    pixels, mode = _pixels(path, options)
    return image_of(path, pixels, replace(options, layout="hwc"), f"{kind or 'image'} ({mode})")


def _pixels(path: Path, options: ReadOptions) -> tuple[np.ndarray, str]:
    from PIL import Image, UnidentifiedImageError

    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(f"{path}: an image of more than {MAX_BYTES} bytes")
    # From memory: a file makes room for as many bytes as a damaged chunk claims to have.
    data = io.BytesIO(path.read_bytes())
    try:
        with Image.open(data, formats=list(SIGNATURES.values())) as image:
            most = min(MAX_PIXELS, MAX_PIXELS_PER_BYTE * path.stat().st_size)
            if image.width * image.height > most or image.mode not in GREY + COLOUR:
                raise RecordingError(
                    f"{path}: an image of {image.height}x{image.width} in mode {image.mode}; expected at most "
                    f"{most} pixels in a file of this size, in mode {', '.join(GREY + COLOUR)}"
                )
            grey = image.mode in GREY and n_means(options.normalise or options.trained_with) == 1
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
            return pixels[..., None] if grey else pixels, image.mode
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RecordingError(f"{path}: damaged or truncated image ({one_line(error)})") from error
