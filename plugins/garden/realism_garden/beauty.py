"""A stated criterion of composition and colour. It is a formula, so what it calls beautiful can be read off it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

NEAR, VIVID, APART = 0.1, 0.4, 0.35  # the widths and full marks of the three shares


def beauty(pixels: torch.Tensor) -> torch.Tensor:
    """Pictures [n, 3, H, W] in 0 to 1 to values [n] in 0 to 1, with a gradient; higher is more beautiful.

    The mean of three shares, each 0 to 1, of the picture p after a Gaussian blur with a standard deviation of H / 32,
    so that noise and fine artefacts earn nothing. The salience s of a pixel is the squared distance of its colour from
    the median colour of its row, as a landscape's rows are alike where nothing stands before it.

    - composition, the rule of thirds: exp(-(d / 0.1)^2 / 2), where d is the horizontal distance, in widths, from the
      centre of the salience to the nearer line of thirds.
    - colour: min(M / 0.4, 1), M = sqrt(sd(rg)^2 + sd(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), rg = R - G,
      yb = (R + G) / 2 - B (the colourfulness of Hasler and Suesstrunk 2003, here for colours in 0 to 1).
    - contrast of subject and ground: min(sqrt(mean(s)) / 0.35, 1).
    """
    return shares(pixels)[:, :3].mean(1)


def shares(pixels: torch.Tensor) -> torch.Tensor:
    """Composition, colour and contrast as in ``beauty``, and the centre of the salience in widths: [n, 4]."""
    p = _blurred(pixels.float())
    salience = (p - p.median(3, keepdim=True).values).square().sum(1)
    columns = salience.sum(1)
    x = (torch.arange(p.shape[3], device=p.device) + 0.5) / p.shape[3]
    centre = (columns * x).sum(1) / (columns.sum(1) + 1e-6)
    composition = torch.exp(-((((centre - 0.5).abs() - 1 / 6) / NEAR) ** 2) / 2)
    contrast = (salience.mean((1, 2)) + 1e-12).sqrt() / APART
    return torch.stack([composition, (_colourfulness(p) / VIVID).clamp(max=1), contrast.clamp(max=1), centre], 1)


def _colourfulness(p: torch.Tensor) -> torch.Tensor:
    r, g, b = p.unbind(1)
    both = torch.stack([r - g, (r + g) / 2 - b], 1)
    spread, offset = both.var((2, 3), correction=0).sum(1), both.mean((2, 3)).square().sum(1)
    return (spread + 1e-12).sqrt() + 0.3 * (offset + 1e-12).sqrt()  # a square root has no slope at 0


def _blurred(pixels: torch.Tensor) -> torch.Tensor:
    """The pictures after a Gaussian blur with a standard deviation of H / 32, borders repeated."""
    deviation = pixels.shape[2] / 32
    reach = int(2 * deviation + 0.5)
    taps = torch.exp(-((torch.arange(-reach, reach + 1, device=pixels.device) / deviation) ** 2) / 2)
    taps = (taps / taps.sum()).expand(3, 1, 1, -1)
    p = F.pad(pixels, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(p, taps, groups=3), taps.transpose(2, 3), groups=3)
