"""Self-reflective contrastive learning as functions on tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch

Form = Literal["as_printed", "infonce"]


def reflective_loss(
    query: torch.Tensor,
    images: torch.Tensor,
    negatives: torch.Tensor | None,
    *,
    temperature: float,
    form: Form = "infonce",
) -> torch.Tensor:
    """The loss that draws a text to its image, away from the batch's other images and its reflective negative.

    query, images, negatives: (B, D) float, each row of length 1; row i of images is the positive of query i, row i of
    negatives its reflective negative. negatives=None leaves that term out: plain contrastive learning (the paper's
    normal RAG). temperature: tau > 0. Returns a float32 scalar, the mean over the rows. Raises ValueError for another
    form, temperature or shape.

    With p = q . pos, n_j = q . images_j for j != i, r = q . negative:
    - infonce: -log [ exp(p/tau) / (exp(p/tau) + sum_j exp(n_j/tau) + exp(r/tau)) ]
    - as_printed: -log [ (exp(p)/tau) / (exp(p/tau) + sum_j n_j/tau + exp(r)) ]

    Source: RealRAG (Lyu et al. 2025) eq. 7 and 8. As printed, the in-batch term is not exponentiated, so it grows
    with similarity no faster than linearly; the reflective term has no temperature; and the denominator may be zero or
    less, where the loss is not defined and NaN is returned. infonce is the evident reading, with every term alike.
    """
    import torch

    if form not in get_args(Form):
        raise ValueError(f"form '{form}' is not known: expected {' or '.join(get_args(Form))}")
    if temperature <= 0:
        raise ValueError(f"temperature {temperature:g} is not allowed: expected more than 0")
    if images.shape != query.shape or (negatives is not None and negatives.shape != query.shape):
        raise ValueError(f"query, images and negatives must have one shape (B, D), not {tuple(query.shape)} and others")
    q, z = query.float(), images.float()
    similarities = q @ z.T
    own = similarities.diagonal()
    reflected = None if negatives is None else (q * negatives.float()).sum(1)
    if form == "infonce":
        logits = similarities if reflected is None else torch.cat([similarities, reflected[:, None]], 1)
        return torch.nn.functional.cross_entropy(logits / temperature, torch.arange(len(q), device=q.device))
    in_batch = (similarities.sum(1) - own) / temperature
    denominator = torch.exp(own / temperature) + in_batch
    if reflected is not None:
        denominator = denominator + torch.exp(reflected)
    log_numerator = own - torch.log(torch.as_tensor(temperature, dtype=own.dtype, device=own.device))
    return (torch.log(denominator) - log_numerator).mean()
