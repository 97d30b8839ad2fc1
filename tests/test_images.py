"""Images: every file gives the same pixels, resized and normalised as timm does, and nothing hostile is unpacked."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.recordings import ImageRecording, read_recording

PIL = pytest.importorskip("PIL.Image")


@pytest.fixture
def pixels():
    """Twelve smooth colour images of 32x32."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 9, 9, 3)).astype(np.uint8)
    return np.stack([np.asarray(PIL.fromarray(image).resize((32, 32))) for image in coarse])


def normalised(image, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)):
    shift, scale = (np.float32(255 * np.array(side)) for side in (mean, std))
    return ((image.astype(np.float32) - shift) / scale).transpose(2, 0, 1)


def refused(path, pattern, **options):
    with pytest.raises(RecordingError, match=pattern) as caught:
        read_recording(path, **options)
    assert "\n" not in str(caught.value)


def test_png_is_exact_and_jpeg_is_what_pillow_reads(tmp_path, pixels):
    PIL.fromarray(pixels[0]).save(tmp_path / "a.png")
    recording = read_recording(tmp_path / "a.png", normalise="cifar10")
    assert isinstance(recording, ImageRecording)
    np.testing.assert_array_equal(recording.image, normalised(pixels[0]))
    PIL.fromarray(pixels[0]).save(tmp_path / "a.jpg")
    decoded = np.asarray(PIL.open(tmp_path / "a.jpg"))
    np.testing.assert_array_equal(read_recording(tmp_path / "a.jpg", normalise="cifar10").image, normalised(decoded))
    refused(tmp_path / "a.png", "raw pixels")


@pytest.mark.parametrize(("size", "crop_pct"), [(224, 0.95), (224, 1.0), (32, 0.875), ((64, 48), 0.9), (45, 0.7)])
@pytest.mark.parametrize("shape", [(300, 451), (451, 300), (256, 256)])
def test_resize_and_crop_are_timms(tmp_path, size, crop_pct, shape):
    coarse = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    image = PIL.fromarray(coarse).resize(shape[::-1])
    image.save(tmp_path / "a.png")
    # timm 0.6.12 and torchvision, line by line.
    if isinstance(size, int) or size[0] == size[1]:
        side = int(np.floor((size if isinstance(size, int) else size[0]) / crop_pct))
        w, h = image.size
        wide = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    else:
        wide = (int(size[1] / crop_pct), int(size[0] / crop_pct))
    big = image.resize(wide, PIL.Resampling.BICUBIC)
    height, width = (size, size) if isinstance(size, int) else size
    top, left = round((big.height - height) / 2.0), round((big.width - width) / 2.0)
    expected = np.asarray(big.crop((left, top, left + width, top + height)))
    recording = read_recording(tmp_path / "a.png", normalise="imagenet", size=size, crop_pct=crop_pct)
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    np.testing.assert_array_equal(recording.image, normalised(expected, *imagenet))
    assert "bicubic" in recording.notes[0]


def test_an_image_of_the_right_size_is_not_touched(tmp_path, pixels):
    np.savez(tmp_path / "a.npz", image=pixels[0])
    recording = read_recording(tmp_path / "a.npz", normalise="cifar10", size=32)
    np.testing.assert_array_equal(recording.image, normalised(pixels[0]))
    assert len(recording.notes) == 1
    assert read_recording(tmp_path / "a.npz", normalise="cifar10", size=128).image.shape == (3, 128, 128)
    for wrong in ({"size": 0}, {"size": 10**6}, {"size": 8, "crop_pct": 1.5}, {"size": 8, "resample": "magic"}):
        refused(tmp_path / "a.npz", "expected", normalise="cifar10", **wrong)
    np.savez(tmp_path / "b.npz", image=pixels[0] / 255)
    refused(tmp_path / "b.npz", "8-bit", size=16, layout="hwc")


def test_grey_images_stay_grey_only_for_one_mean(tmp_path, pixels):
    PIL.fromarray(pixels[0][..., 0]).save(tmp_path / "a.png")
    assert read_recording(tmp_path / "a.png", normalise="mnist").image.shape == (1, 32, 32)
    assert read_recording(tmp_path / "a.png", normalise="imagenet").image.shape == (3, 32, 32)
    PIL.fromarray(pixels[0]).convert("P").save(tmp_path / "b.png")
    assert read_recording(tmp_path / "b.png", normalise="none").image.shape == (3, 32, 32)
    PIL.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "c.png")
    refused(tmp_path / "c.png", "mode I;16", normalise="none")


def test_damaged_images_and_bombs(tmp_path, pixels):
    PIL.fromarray(pixels[0]).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "a.png", "damaged or truncated", normalise="cifar10")
    PIL.new("1", (20_000, 20_000)).save(tmp_path / "b.png")
    refused(tmp_path / "b.png", "20000x20000|bomb", normalise="none")


def idx(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(tmp_path, pixels, pack):
    grey, labels = pixels[..., 0], np.arange(12, dtype=np.uint8) % 10
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(pack(idx(grey)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(pack(idx(labels)))
    path = tmp_path / "t10k-images-idx3-ubyte"
    recording = read_recording(path, index=11, normalise="none")
    np.testing.assert_array_equal(recording.image[0], grey[11] / np.float32(255))
    assert recording.label == 1
    assert read_recording(path, normalise="none").label == 0
    refused(path, "there is no recording 12", index=12, normalise="none")
    refused(tmp_path / "t10k-labels-idx1-ubyte", "file of labels")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "truncated|damaged", index=11, normalise="none")
    path.write_bytes(pack(b"\0\0\x08\x03" + b"\xff" * 12))
    refused(path, "IDX images of 4294967295x4294967295", normalise="none")


def test_cifar_binary(tmp_path, pixels):
    planes = pixels.transpose(0, 3, 1, 2).reshape(12, -1)
    labels = np.arange(12, dtype=np.uint8)[:, None]
    (tmp_path / "data_batch_1.bin").write_bytes(np.hstack([labels, planes]).tobytes())
    (tmp_path / "test.bin").write_bytes(np.hstack([labels + 50, labels, planes]).tobytes())
    for name in ("data_batch_1.bin", "test.bin"):
        recording = read_recording(tmp_path / name, index=7, normalise="cifar10")
        np.testing.assert_array_equal(recording.image, normalised(pixels[7]))
        assert recording.label == 7


def python2_pickle(images, labels):
    """What Python 2's cPickle wrote for CIFAR-10: protocol 2, byte strings as `U` and `T`."""

    def word(text):
        return b"U" + bytes([len(text)]) + text

    data = images.transpose(0, 3, 1, 2).tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85" + word(b"b") + b"\x87Rq\x07(K\x01"
        + b"K" + bytes([len(images)]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x08" + word(b"u1") + b"K\x00K\x01\x87R(K\x03"
        + word(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", len(data))
        + data + b"tb"
    )  # fmt: skip
    numbers = b"]q\x04(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    head = b"\x80\x02}q\x01(" + word(b"batch_label") + b"q\x02" + word(b"testing batch 1 of 1")
    return head + word(b"labels") + numbers + word(b"data") + array + b"u."


def test_cifar_pickles_are_listed_not_run(tmp_path, pixels):
    path = tmp_path / "test_batch"
    path.write_bytes(python2_pickle(pixels, range(12)))
    recording = read_recording(path, index=9, normalise="cifar10")
    np.testing.assert_array_equal(recording.image, normalised(pixels[9]))
    assert recording.label == 9
    assert pickle.loads(path.read_bytes(), encoding="latin1")["data"].size == pixels.size  # it is one, for Python
    planes = pixels.transpose(0, 3, 1, 2).reshape(12, -1)
    path.write_bytes(pickle.dumps({"batch_label": "b", "labels": list(range(12)), "data": planes.tobytes()}, 4))
    assert read_recording(path, index=3, normalise="cifar10").label == 3
    path.write_bytes(b"\x80\x02}q\x01(U\x0bbatch_labelcos\nabort\n(tR.")
    refused(path, "without 32x32 images", normalise="cifar10")


def test_npz_sets(tmp_path, pixels):
    labels = np.arange(12)
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    recording = read_recording(tmp_path / "a.npz", index=4, normalise="cifar10")
    np.testing.assert_array_equal(recording.image, normalised(pixels[4]))
    assert recording.label == 4
    np.savez(
        tmp_path / "b.npz", train_x=pixels[:8, ..., 0], train_y=labels[:8], test_x=pixels[8:, ..., 0], test_y=labels[8:]
    )
    assert read_recording(f"{tmp_path}/b.npz::train:5", normalise="mnist").label == 5
    recording = read_recording(tmp_path / "b.npz", index=1, normalise="mnist")
    assert recording.label == 9
    assert "the test split was taken" in recording.notes[0]
    refused(tmp_path / "b.npz", "no split 'val'; it has train, test", index="val:1", normalise="mnist")
    refused(tmp_path / "b.npz", "no recording '4'", index="test:4", normalise="mnist")


def test_the_shared_arrays(shared):
    for name, index, how, key in (
        ("mnist_full.npz", "test:77", "mnist", ("test_x", "test_y")),
        ("cifar10_train_4000.npz", 3999, "cifar10", ("x", "y")),
    ):
        source = np.load(shared / "data" / name)
        image, label = (source[part][int(str(index).split(":")[-1])] for part in key)
        recording = read_recording(shared / "data" / name, index=index, normalise=how)
        assert recording.label == label
        channels_last = image[..., None] if image.ndim == 2 else image
        constants = ((0.1307,), (0.3081,)) if how == "mnist" else ()
        np.testing.assert_array_equal(recording.image, normalised(channels_last, *constants))
