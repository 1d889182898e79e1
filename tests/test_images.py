"""Images of any kind are read, or skipped with a reason."""

import io
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from pipes import pipe

import numpy as np
import pytest
import tiny
from PIL import Image, PngImagePlugin
from realism.base.images import UnreadableImage, image_bytes, read_image, read_images, write_images


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


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "LA", "RGBA", "P", "CMYK"])
def test_every_mode_is_shrunk_as_its_rgb_is(tmp_path, mode):
    grey = np.linspace(0, 255, 300 * 200).reshape(200, 300).round()
    if mode in ("I;16", "I", "F"):
        Image.fromarray((grey * (1 if mode == "F" else 257)).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode])).save(
            tmp_path / "a.tif"
        )
    else:
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").convert(mode).save(tmp_path / "a.tif")
    whole, small = read_image(tmp_path / "a.tif"), read_image(tmp_path / "a.tif", max_side=30)
    assert small.size == (30, 20) and whole.size == (300, 200)
    wanted = np.asarray(whole.resize((30, 20), Image.Resampling.BOX), float)
    assert np.abs(np.asarray(small, float) - wanted).max() < 12
    assert abs(np.asarray(whole, float).mean() - 127.5) < 3


def test_a_shrunk_image_is_turned_as_its_exif_says_whatever_its_mode(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = tiny.picture(0, (40, 20))
    for mode, name in (("RGB", "a.jpg"), ("RGBA", "a.png"), ("L", "a.tif"), ("P", "b.png")):
        picture.convert(mode).save(tmp_path / name, exif=exif)
        assert read_image(tmp_path / name, max_side=20).size == (10, 20)


def test_a_palette_with_a_transparent_colour_is_white_there(tmp_path):
    image = Image.new("P", (40, 40))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 20, 40))
    image.save(tmp_path / "a.gif", transparency=0)
    read = read_image(tmp_path / "a.gif", max_side=20)
    assert read.getpixel((2, 5)) == (0, 0, 255) and read.getpixel((17, 5)) == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp"])
def test_the_first_of_several_frames_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **{"lossless": True})
    assert read_image(tmp_path / f"a.{suffix}").getpixel((4, 4)) == (255, 0, 0)


def test_a_progressive_jpeg_is_refused_by_what_must_be_held_of_it(tmp_path):
    buffer = io.BytesIO()
    tiny.picture(0).save(buffer, "JPEG", progressive=True)
    raw = bytearray(buffer.getvalue())
    at = raw.index(b"\xff\xc2") + 5
    raw[at : at + 4] = (12_000).to_bytes(2, "big") * 2
    (tmp_path / "a.jpg").write_bytes(raw)
    with pytest.raises(UnreadableImage, match="more than 100 million pixels"):
        read_image(tmp_path / "a.jpg", max_side=256)


def test_a_png_that_grows_in_its_text_or_its_profile_is_refused(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("k", "x" * 20_000_000, zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "text.png", pnginfo=text)
    Image.new("RGB", (8, 8)).save(tmp_path / "icc.png", icc_profile=b"\0" * 20_000_000)
    for name in ("text.png", "icc.png"):
        with pytest.raises(UnreadableImage, match="too large"):
            read_image(tmp_path / name)


def test_a_file_of_more_than_a_gigabyte_is_refused_unread(tmp_path):
    with (tmp_path / "a.webp").open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWEBPVP8L")
        file.truncate(2**30 + 1)  # with a hole in it, so that it takes no space
    with pytest.raises(UnreadableImage, match="larger than 1,024 MiB"):
        read_image(tmp_path / "a.webp")


def test_what_is_no_file_is_unreadable_and_not_waited_for(tmp_path):
    pipe(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.png"))
        (tmp_path / "device.png").symlink_to("/dev/zero")
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
        (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
        said = {
            "pipe.png": "it is a pipe, no file",
            "s.png": "it is a socket, no file",
            "device.png": "it is a device, no file",
            "folder.png": "it is a folder",
            "circle.png": "Too many levels of symbolic links",
            "nowhere.png": "it is not there",
        }
        found = {e.path.name: e.reason for e in read_images(tmp_path / name for name in said)}
    assert found == said


def test_no_more_is_read_ahead_than_the_pixels_that_may_be_held(tmp_path, monkeypatch):
    monkeypatch.setattr("realism.base.images.MAX_PIXELS", 100 * 100)
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    begun = []
    monkeypatch.setattr("realism.base.images._try_read", lambda *a: begun.append(1) or Image.new("RGB", (100, 100)))
    images = read_images([tmp_path / "a.png"] * 40, workers=2, ahead=16)
    next(images)
    time.sleep(0.1)
    assert len(begun) <= 5
    assert len(list(images)) == 39


SIXTEEN_BITS = """
import resource, sys
import numpy as np
from PIL import Image
from realism.base.images import read_images

Image.fromarray(np.zeros((5000, 5000), np.uint16)).save(sys.argv[1], compress_level=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sizes = {image.size for image in read_images([sys.argv[1]] * 6, max_side=256)}
print(sizes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_six_large_pictures_of_16_bits_take_little_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SIXTEEN_BITS, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    sizes, megabytes = done.stdout.rsplit(maxsplit=1)
    assert sizes == "{(256, 256)}" and int(megabytes) < 600


def test_images_are_written_into_folders_that_are_not_there_yet(tmp_path):
    paths = [tmp_path / "one" / "a.png", tmp_path / "two" / "deep" / "b.png"]
    write_images(paths, [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")])
    assert [read_image(path).getpixel((0, 0)) for path in paths] == [(255, 0, 0), (0, 0, 255)]
