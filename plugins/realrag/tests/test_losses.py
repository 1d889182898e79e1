"""The loss is the paper's, term by term."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from realism_realrag.losses import reflective_loss


def unit(rows: int, d: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, d, generator=random, dtype=torch.float64), dim=1)


def slow(query, images, negatives, temperature: float, form: str) -> float:
    """Equations 7 and 8, one number at a time, in double precision."""
    total = 0.0
    for i in range(len(query)):
        q = query[i].tolist()

        def similarity(row, q=q) -> float:
            return sum(a * b for a, b in zip(q, row.tolist(), strict=True))

        own = similarity(images[i])
        others = [similarity(images[j]) for j in range(len(images)) if j != i]
        reflected = [] if negatives is None else [similarity(negatives[i])]
        if form == "infonce":
            above = math.exp(own / temperature)
            below = above + sum(math.exp(s / temperature) for s in (*others, *reflected))
        else:
            above = math.exp(own) / temperature
            below = math.exp(own / temperature) + sum(s / temperature for s in others)
            below += sum(math.exp(s) for s in reflected)
        total += math.nan if below <= 0 else -math.log(above / below)
    return total / len(query)


@given(
    rows=st.integers(1, 9),
    d=st.integers(2, 12),
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.03, 2.0),
    form=st.sampled_from(["infonce", "as_printed"]),
    with_negatives=st.booleans(),
)
def test_it_is_the_equation_term_by_term(rows, d, seed, temperature, form, with_negatives):
    query, images = unit(rows, d, seed), unit(rows, d, seed + 1)
    negatives = unit(rows, d, seed + 2) if with_negatives else None
    found = reflective_loss(query, images, negatives, temperature=temperature, form=form).item()
    wanted = slow(query, images, negatives, temperature, form)
    if math.isnan(wanted) or abs(wanted) > 30:  # near a denominator of 0 float32 cannot follow float64
        return
    assert found == pytest.approx(wanted, abs=1e-5, rel=1e-5)


def test_as_printed_says_so_where_it_is_not_defined():
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    images = torch.tensor([[-1.0, 0.0], [-1.0, 0.0]])
    loss = reflective_loss(query, images, images, temperature=0.05, form="as_printed")
    assert torch.isnan(loss)


def test_without_other_images_and_negatives_there_is_nothing_to_learn():
    row = unit(1, 8, 0)
    assert reflective_loss(row, row, None, temperature=0.07).item() == 0.0


def test_a_nearer_reflective_negative_costs_more():
    query, images = unit(4, 8, 0), unit(4, 8, 1)
    far = reflective_loss(query, images, -query, temperature=0.07)
    near = reflective_loss(query, images, query, temperature=0.07)
    assert near > far


def test_gradients_reach_the_images_and_the_negatives_but_no_text():
    query = unit(4, 8, 0)
    images, negatives = (unit(4, 8, s).requires_grad_() for s in (1, 2))
    reflective_loss(query, images, negatives, temperature=0.07).backward()
    assert images.grad.abs().sum() > 0 and negatives.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": "InfoNCE"}, "form 'InfoNCE' is not known"),
        ({"temperature": 0.0}, "expected more than 0"),
        ({"negatives": unit(1, 8, 2)}, "must have one shape"),
    ],
)
def test_what_it_cannot_mean_is_refused(change, said):
    given = {"negatives": unit(4, 8, 2), "temperature": 0.07} | change
    with pytest.raises(ValueError, match=said):
        reflective_loss(unit(4, 8, 0), unit(4, 8, 1), **given)
