"""What every image encoder, retriever and index must do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from realism.base.errors import RealismError
from realism.parts import ImageEncoder, Index, PixelEncoder, Retriever
from realism.parts.returned import found_error, rows_error
from realism.testing.material import TEXTS, picture, pictures, pixels, unit_rows
from realism.testing.part import PartSuite, check_gradient, farthest


class ImageEncoderSuite(PartSuite):
    """The contract of `realism.ImageEncoder`."""

    def test_rows_of_images_are_float32_of_the_length_it_says(self, part: ImageEncoder) -> None:
        rows = part.embed_images(pictures())
        assert (error := rows_error("embed_images", rows, 4, part.unit_length)) is None, error
        if part.unit_length:
            gap = farthest(np.linalg.norm(rows, axis=1), np.ones(4))
            assert gap < 1e-4, f"rows should have length 1; one is off by {gap:.2g}"

    def test_a_row_depends_on_its_own_image_alone(self, part: ImageEncoder) -> None:
        images = pictures()
        rows = part.encode_images(images)
        gap = farthest(rows, np.concatenate([part.encode_images([i]) for i in images])) / float(np.abs(rows).max())
        assert gap < 1e-5, f"an image's row changes with its batch, by {gap:.2g}"

    def test_different_images_have_different_rows(self, part: ImageEncoder) -> None:
        assert farthest(*part.encode_images(pictures()[:2])) > 1e-4, "two different images have the same row"

    def test_no_images_give_no_rows(self, part: ImageEncoder) -> None:
        assert len(part.encode_images([])) == 0, "no images should give no rows"


class RetrieverSuite(ImageEncoderSuite):
    """The contract of `realism.Retriever`."""

    def test_rows_of_texts_are_float32_of_length_1(self, part: Retriever) -> None:
        rows = part.encode_texts(TEXTS)
        assert (error := rows_error("encode_texts", rows, len(TEXTS))) is None, error
        gap = farthest(np.linalg.norm(rows, axis=1), np.ones(len(TEXTS)))
        assert gap < 1e-4, f"rows should have length 1; one is off by {gap:.2g}"

    def test_texts_and_images_share_one_space(self, part: Retriever) -> None:
        widths = part.encode_images(pictures()[:1]).shape[1], part.encode_texts(TEXTS[:1]).shape[1]
        assert widths[0] == widths[1], f"images have {widths[0]} numbers, texts {widths[1]}"

    def test_a_row_depends_on_its_own_text_alone(self, part: Retriever) -> None:
        gap = farthest(part.encode_texts(TEXTS), np.concatenate([part.encode_texts([t]) for t in TEXTS]))
        assert gap < 1e-5, f"a text's row changes with its batch, by {gap:.2g}"

    def test_different_texts_have_different_rows(self, part: Retriever) -> None:
        assert farthest(*part.encode_texts(TEXTS[:2])) > 1e-4, "two different texts have the same row"

    def test_long_and_empty_texts_are_read(self, part: Retriever) -> None:
        rows = part.encode_texts(["rose " * 1000, ""])
        assert np.isfinite(rows).all(), "a long or an empty text gives a row that is not finite"

    def test_a_pixel_encoder_has_a_gradient_and_agrees_with_itself(self, part: Retriever) -> None:
        if isinstance(part, PixelEncoder):
            given = pixels()
            rows = part.encode_pixels(given)
            gap = farthest(rows.detach().cpu().numpy(), part.encode_images([picture(0), picture(1)]))
            assert gap < 0.05, f"pixels and images of one picture have other rows, by {gap:.2g}"
            rows[:, 0].sum().backward()
            check_gradient(given)

    def test_no_texts_give_no_rows(self, part: Retriever) -> None:
        assert len(part.encode_texts([])) == 0, "no texts should give no rows"


class IndexSuite(PartSuite):
    """The contract of `realism.Index`."""

    n, d, k = 500, 16, 5

    def test_it_finds_the_nearest_rows(self, part: Index) -> None:
        rows, queries = unit_rows(self.n, self.d), unit_rows(20, self.d, seed=1)
        similarities, found = self._search(part, rows, queries, self.k)
        assert found.dtype == np.int64 and similarities.dtype == np.float32, "expected float32 and int64"
        truth = np.argsort(-(queries @ rows.T), axis=1)[:, : self.k]
        hit = np.mean([len(set(a) & set(b)) / self.k for a, b in zip(found, truth, strict=True)])
        assert hit >= 0.9, f"only {hit:.0%} of the {self.k} nearest rows were found"

    def test_similarities_are_inner_products_best_first(self, part: Index) -> None:
        rows, queries = unit_rows(self.n, self.d), unit_rows(20, self.d, seed=1)
        similarities, found = self._search(part, rows, queries, self.k)
        gap = farthest(similarities, np.einsum("qkd,qd->qk", rows[found], queries))
        assert gap < 0.05, f"a similarity is {gap:.2g} away from the inner product"
        assert (np.diff(similarities, axis=1) <= 0).all(), "similarities should fall from left to right"

    def test_only_allowed_rows_are_found(self, part: Index) -> None:
        rows = unit_rows(self.n, self.d)
        allowed = np.random.default_rng(0).random(self.n) < 0.1
        _, found = self._search(part, rows, rows[:50], self.k, allowed)
        leaked = int((~allowed[found[found >= 0]]).sum())
        assert leaked == 0, f"{leaked} rows were found that are not allowed"
        assert (found >= 0).any(), "no allowed row was found"

    def test_where_fewer_may_be_found_the_rest_is_minus_one(self, part: Index) -> None:
        rows = unit_rows(self.n, self.d)
        allowed = np.zeros(self.n, dtype=bool)
        allowed[[3, 40]] = True
        similarities, found = self._search(part, rows, rows[:1], self.k, allowed)
        assert set(found[0, :2]) == {3, 40}, f"rows 3 and 40 are allowed, but {found[0]} were found"
        assert (found[0, 2:] == -1).all(), f"beyond the two allowed rows there should be -1, not {found[0, 2:]}"
        assert (similarities[0, 2:] == -np.inf).all(), f"and -inf, not {similarities[0, 2:]}"

    def test_rows_that_are_added_are_found_behind_the_old_ones(self, part: Index) -> None:
        rows = unit_rows(self.n, self.d)
        with tempfile.TemporaryDirectory() as folder:
            part.build([rows[:300]], Path(folder))
            try:
                part.add(Path(folder), [rows[300:400], rows[400:]])
            except RealismError:
                return  # a kind that cannot grow says so
            _, found = part.search(Path(folder), rows, 1)
        hit = np.mean(found[:, 0] == np.arange(self.n))
        assert hit >= 0.9, f"only {hit:.0%} of the rows find themselves after some were added"

    def _search(
        self, part: Index, rows: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            part.build((rows[i : i + 200] for i in range(0, len(rows), 200)), Path(folder))
            found = part.search(Path(folder), queries, k, allowed)
            assert (error := found_error(found, len(queries), k, len(rows), allowed)) is None, error
            return found
