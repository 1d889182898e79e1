"""Images of any kind are read, or set aside with a reason."""

import io
import threading
import tracemalloc

import numpy as np
import pytest
import tiny
from PIL import Image
from realism.base.images import UnreadableImage, image_bytes, read_image, read_images


def jpeg(size=(64, 48)):
    buffer = io.BytesIO()
    tiny.picture(0, size).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that claims a size, without pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    raw = bytearray(buffer.getvalue())
    raw[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    return bytes(raw)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (jpeg()[:-200], "truncated"),
        (b"this is no picture", "no image of a known format"),
        (b"", "the file is empty"),
        (None, "it is not there"),
        (png_header(40_000, 30_000), "more than 100 million pixels"),
        (png_header(12_000, 12_000), "more than 100 million pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known format"),
    ],
    ids=["truncated", "text", "empty", "absent", "bomb", "large", "program"],
)
def test_a_bad_file_is_unreadable_with_a_reason_of_one_line(tmp_path, content, reason):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_png_20000_pixels_wide_is_read_and_shrunk_on_demand(tmp_path):
    Image.new("RGB", (20_000, 40), "red").save(tmp_path / "wide.png")
    assert read_image(tmp_path / "wide.png").size == (20_000, 40)
    shrunk = read_image(tmp_path / "wide.png", max_side=2000)
    assert shrunk.size == (2000, 4) and shrunk.getpixel((999, 2)) == (255, 0, 0)


def test_images_within_max_side_are_left_as_they_are(tmp_path):
    tiny.picture(1, (60, 40)).save(tmp_path / "a.png")
    assert image_bytes(read_image(tmp_path / "a.png", 60)) == image_bytes(tiny.picture(1, (60, 40)))


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "CMYK", "1", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    Image.new("RGB", (32, 32), (200, 200, 200)).convert(mode).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.mode == "RGB"
    assert abs(np.asarray(image).mean() - 200) < (60 if mode == "1" else 3)


def test_16_bits_keep_their_brightness(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").getpixel((0, 0)) == (156, 156, 156)  # 40,000 / 257


def test_transparent_pixels_are_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


def test_images_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    tiny.picture(0, (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").size == (20, 40)


def test_equal_pixels_give_equal_bytes_whatever_the_file_said_besides():
    image = tiny.picture(3)
    other = image.copy()
    other.info["dpi"] = (300, 300)
    other.info["icc_profile"] = b"profile"
    assert image_bytes(image) == image_bytes(other)
    assert image_bytes(image) != image_bytes(tiny.picture(4))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image_bytes(image)))), np.asarray(image))


def test_images_come_in_order_with_the_bad_ones_in_their_place(tmp_path):
    paths = []
    for i in range(30):
        tiny.picture(i, (20 + i, 20)).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    paths[7].write_bytes(b"")
    read = list(read_images(paths, workers=3))
    assert [None if isinstance(r, UnreadableImage) else r.width for r in read] == [
        None if i == 7 else 20 + i for i in range(30)
    ]


def test_only_a_few_images_are_read_ahead(tmp_path):
    Image.new("RGB", (1000, 1000)).save(tmp_path / "a.png")
    taken = []

    def paths():
        for i in range(200):
            taken.append(i)
            yield tmp_path / "a.png"

    images = read_images(paths(), workers=2, ahead=4)
    next(images)
    assert len(taken) <= 6
    images.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read_images")]


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(12_000, 12_000))
    tracemalloc.start()
    with pytest.raises(UnreadableImage):
        read_image(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
