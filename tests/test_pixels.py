"""Pixels: raw ones are normalised, real ones are taken as normalised with a word of doubt, all others are refused."""

import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.recordings import read_recording
from evsim.recordings.pixels import MEAN_STD

RAW = np.random.default_rng(0).integers(0, 256, (3, 6, 5)).astype(np.uint8)
MEAN, STD = (np.array(side).reshape(3, 1, 1) for side in MEAN_STD["cifar10"])
NORMALISED = ((RAW.astype(np.float32) - (255 * MEAN).astype(np.float32)) / (255 * STD).astype(np.float32)).astype("f4")


def read(folder, image, **told):
    np.savez(folder / "a.npz", image=image)
    return read_recording(folder / "a.npz", layout="chw", **told)


@pytest.mark.parametrize("told", [{"normalise": "cifar10"}, {"trained_with": "cifar10"}])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_raw_pixels_of_any_width(tmp_path, told, dtype):
    np.testing.assert_array_equal(read(tmp_path, RAW.astype(dtype), **told).image, NORMALISED)


def test_what_the_user_says_beats_what_the_weights_remember(tmp_path):
    found = read(tmp_path, RAW, normalise="cifar10", trained_with="imagenet")
    np.testing.assert_array_equal(found.image, NORMALISED)


@pytest.mark.parametrize("trained_with", [None, "cifar10"])
def test_real_values_are_taken_as_normalised(tmp_path, trained_with):
    found = read(tmp_path, NORMALISED, trained_with=trained_with)
    np.testing.assert_array_equal(found.image, NORMALISED)
    assert found.notes == ("the image was taken as already normalised",)


@pytest.mark.parametrize(("image", "white"), [(RAW / 255, 1), (RAW.astype(float), 255)])
def test_real_values_that_look_like_pixels_are_doubted(tmp_path, image, white):
    found = read(tmp_path, image, trained_with="cifar10")
    np.testing.assert_array_equal(found.image, image.astype(np.float32))
    assert any(f"look like pixels of 0 to {white} that nobody normalised (--normalise does)" in n for n in found.notes)
    np.testing.assert_allclose(read(tmp_path, image, normalise="cifar10").image, NORMALISED, atol=1e-5)


def test_none_leaves_real_pixels_as_they_are(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, RAW / 255, normalise="none").image, (RAW / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("image", "told", "message"),
    [
        (RAW, {}, "raw pixels .* need --normalise"),
        (
            NORMALISED,
            {"normalise": "cifar10"},
            r"--normalise cifar10 is for pixels of 0 to 1 or 0 to 255, found float32",
        ),
        (
            RAW.astype(np.int64) * 256,
            {"normalise": "cifar10"},
            "an image of int64 from 0 to .* expected pixels of 0 to 255",
        ),
        (RAW.astype(np.int64) - 1, {"trained_with": "cifar10"}, "an image of int64 from -1 to"),
        ((RAW > 99).astype(np.int32), {"trained_with": "cifar10"}, "an image of int32 from 0 to 1"),
    ],
)
def test_pixels_that_are_refused(tmp_path, image, told, message):
    with pytest.raises(RecordingError, match=message):
        read(tmp_path, image, **told)
