"""Numbers as a reader wants them: as many digits as the interval supports, true minus signs, thin spaces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from realism.data.rows import Measure

NONE = "–"
THIN = "\u202f"
MAX_DIGITS = 6


@dataclass(frozen=True)
class Scale:
    """How the values of one measure are written: as a share of 100 or as they are, with so many decimals; differences
    with as many or more, as what is paired by prompt is known better than either side of it."""

    percent: bool
    digits: int
    finer: int
    """Decimals of differences."""

    @classmethod
    def of(cls, rows: Sequence[Measure]) -> Scale:
        """The scale of all rows of one measure.

        A measure is a share, written in percent, when every value is in [0, 1] and value * n is a whole number in
        every row: that is what the mean of n yes-or-no answers is, while the mean of cosines or a distance that
        happens to lie in [0, 1] is not. `detail["unit"]`, where given, decides instead: "share" or anything else.

        Decimals: the median half-width of the intervals keeps one significant digit, or two where the first is 1 or
        2; a percentage needs none once that half-width is a point. With no interval, three significant digits.
        """
        percent = bool(rows) and all(_is_share(row) for row in rows)
        factor = 100 if percent else 1
        digits = _digits([factor * (row.high - row.low) / 2 for row in rows], percent)
        if digits is None:
            sizes = [factor * abs(row.value) for row in rows if math.isfinite(row.value) and row.value]
            digits = max(0, 2 - math.floor(math.log10(median(sizes)))) if sizes else 0
            digits = min(digits, 1) if percent else digits
        finer = _digits([factor * (row.difference_high - row.difference_low) / 2 for row in rows], percent)
        return cls(percent, min(digits, MAX_DIGITS), min(max(digits, finer or 0), MAX_DIGITS))

    def bare(self, value: float) -> str:
        """The number without its unit: 74, 0.312, −4.1."""
        return self._text(value, self.digits)

    def _text(self, value: float, digits: int) -> str:
        return number(value * (100 if self.percent else 1), digits)

    def value(self, value: float) -> str:
        """The number with its unit: 74 %."""
        return self.bare(value) + (f"{THIN}%" if self.percent and math.isfinite(value) else "")

    def interval(self, low: float, high: float, signed: bool = False) -> str:
        """[70, 78], or [+59, +67] of a difference; nothing where no interval is known."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return ""
        text = self.difference if signed else self.bare
        return f"[{text(low)}, {text(high)}]"

    def difference(self, value: float) -> str:
        """+63 or −0.02: signed, as it is a change; a zero has no sign, whichever side it was rounded from."""
        text = self._text(value, self.finer)
        return f"+{text}" if value > 0 and not is_zero(text) else text

    @property
    def points(self) -> str:
        """What a difference is counted in: a change from 11 % to 74 % is 63 points, not 63 %."""
        return " points" if self.percent else ""


def is_zero(text: str) -> bool:
    """Whether a number that is written so is nothing to the reader: 0 or 0.000."""
    return not text.strip("0.")


def number(value: float, digits: int) -> str:
    """A number with so many decimals; 3 significant digits where even the most decimals would hide it, or it would run
    on for ever."""
    if not math.isfinite(value):
        return NONE if math.isnan(value) else ("∞" if value > 0 else "−∞")
    hidden = digits >= MAX_DIGITS and abs(value) < 0.5 * 10.0**-MAX_DIGITS
    text = f"{value:.3g}" if (hidden and value) or abs(value) >= 1e7 else f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def score(value: float) -> str:
    """One picture's score: whole numbers as they are, others to three significant digits."""
    if not math.isfinite(value) or (value == int(value) and abs(value) < 1e7):
        return number(value, 0)
    return number(value, min(MAX_DIGITS, max(0, 2 - math.floor(math.log10(abs(value))))))


def short(number: int) -> str:
    """A long number by its ends: 4611…904; others whole."""
    text = str(number)
    return text if len(text) <= 9 else f"{text[:4]}…{text[-3:]}"


def sentence(text: str) -> str:
    """A text as it stands by itself: it begins large, where it does not begin with a quoted name, and ends in a full
    stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def plural(value: int, noun: str) -> str:
    """1 prompt, 480 prompts."""
    return f"{value:,} {noun}" + "s" * (value != 1)


def duration(seconds: float) -> str:
    """0.8 s, 42 s, 3 min 04 s, 2 h 05 min."""
    if not math.isfinite(seconds) or seconds < 0:
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def rate(items: int, seconds: float) -> str:
    """Items a second, to two or three digits; nothing to say of a step that took no time or made nothing."""
    if items <= 0 or not seconds > 0:
        return NONE
    pace = items / seconds
    return number(pace, 0 if pace >= 10 else 1 if pace >= 1 else 2)


def _is_share(row: Measure) -> bool:
    unit = row.detail.get("unit")
    if unit is not None:
        return unit == "share"
    if math.isnan(row.value):
        return True
    whole = row.value * row.n
    return 0 <= row.value <= 1 and row.n > 0 and abs(whole - round(whole)) < 1e-6 * max(1, row.n)


def _digits(halves: Sequence[float], percent: bool) -> int | None:
    """Decimals for intervals of these half-widths; None where none of them has a width."""
    wide = [half for half in halves if math.isfinite(half) and half > 0]
    if not wide:
        return None
    half = median(wide)
    return 0 if percent and half >= 1 else _decimals(half)


def _decimals(half: float) -> int:
    """Decimals that leave one significant digit of `half`, or two where the first is 1 or 2."""
    power = math.floor(math.log10(max(half, 1e-300)))
    return max(0, -power + (half / 10.0**power < 3))
