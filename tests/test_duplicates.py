"""Looks of images: hashes that survive saving anew, and groups of near-duplicates."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from realism.base.duplicates import (
    DuplicateLimits,
    all_differing_bits,
    differing_bits,
    groups,
    perceptual_hashes,
    pixel_hash,
)
from test_database import photo


def slow_hash(image: Image.Image) -> np.ndarray:
    """The 256 bits by the definition of the cosine transform, sum by sum."""
    grey = np.asarray(image.convert("L").resize((64, 64), Image.Resampling.LANCZOS, reducing_gap=2.0), float)
    at = np.arange(64)
    low = np.zeros((16, 16))
    for u in range(16):
        for v in range(16):
            waves = np.outer(np.cos(np.pi * (at + 0.5) * u / 64), np.cos(np.pi * (at + 0.5) * v / 64))
            low[u, v] = (grey * waves).sum() * (1 if u else 0.5**0.5) * (1 if v else 0.5**0.5)
    return (low > np.median(low)).ravel()


def saved_as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def test_the_hash_is_that_of_its_definition():
    for seed in range(5):
        bits = np.unpackbits(perceptual_hashes(photo(seed, (90 + seed, 120)))[0].view(np.uint8))
        assert np.array_equal(bits.astype(bool), slow_hash(photo(seed, (90 + seed, 120))))


def test_a_copy_keeps_its_hash_and_another_picture_has_another():
    hashes = np.stack([perceptual_hashes(photo(seed))[0] for seed in range(30)])
    copies = [saved_as_jpeg(photo(seed).resize((72, 60)), 50) for seed in range(30)]
    again = np.stack([perceptual_hashes(copy)[0] for copy in copies])
    bits = all_differing_bits(hashes, again)
    assert np.array_equal(bits.diagonal(), differing_bits(hashes, again))
    assert bits.diagonal().max() <= 24
    assert bits[~np.eye(30, dtype=bool)].min() > 60


def test_the_second_hash_is_that_of_the_mirror_image():
    for seed in range(30):
        image = photo(seed, (90 + seed, 121))
        both, mirror = perceptual_hashes(image), perceptual_hashes(ImageOps.mirror(image))
        assert np.array_equal(both[0], perceptual_hashes(image)[0])
        assert differing_bits(both, mirror[::-1]).max() <= 2  # resizing rounds a little otherwise
        assert differing_bits(both[0], both[1]) > 90


@pytest.mark.slow
def test_photographs_that_stand_twice_in_a_real_set_are_told_from_all_others(data):
    folders = [sorted((data / "flowers12" / name).rglob("*.jpg")) for name in ("train", "test")]
    train, test = (np.stack([perceptual_hashes(Image.open(p).convert("RGB"))[0] for p in paths]) for paths in folders)
    bits = all_differing_bits(train, test)
    assert (bits <= 8).sum() == (bits <= 80).sum() == 14


def test_plain_images_have_a_hash_that_rounding_does_not_decide():
    plain = [perceptual_hashes(Image.new("RGB", size, (90, 140, 20)))[0] for size in ((8, 8), (64, 64), (100, 33))]
    assert np.array_equal(plain[0], plain[1]) and np.array_equal(plain[0], plain[2])


def test_pixels_decide_the_pixel_hash_and_nothing_else():
    image = photo(1)
    assert pixel_hash(image) == pixel_hash(image.copy())
    other = image.copy()
    other.putpixel((0, 0), (1, 2, 3))
    tall = Image.frombytes("RGB", (80, 96), image.tobytes())
    assert len({pixel_hash(i) for i in (image, other, tall)}) == 3


def test_near_duplicates_hang_together_by_chains():
    angles = np.array([0.0, 0.2, 0.4, 2.0, 2.1, 4.0])
    rows = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    hashes = np.zeros((6, 4), np.uint64)
    hashes[4] = 2**64 - 1  # as near as any, but of another look

    def search(queries, k):
        similarities = queries @ rows.T
        found = np.argsort(-similarities, 1)[:, :k]
        return np.take_along_axis(similarities, found, 1), found

    group = groups([rows[:2], rows[2:]], hashes, search, DuplicateLimits(cosine=0.97, bits=24))
    assert len({*group[:3]}) == 1 and len({group[0], group[3], group[4], group[5]}) == 4
    group = groups([rows], hashes, search, DuplicateLimits(cosine=0.97, bits=256))
    assert group[3] == group[4]
