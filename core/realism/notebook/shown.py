"""How parts, pictures and runs show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

MOST = 24
"""Pictures that are shown."""
LEFT = 'style="text-align:left"'


class Gallery(list[Any]):
    """Images of Pillow, shown side by side with a caption each."""

    def __init__(self, images: Sequence[Any], captions: Sequence[str]):
        super().__init__(images)
        self.captions = list(captions)

    def _repr_html_(self) -> str:
        from realism.report.thumbnails import LARGEST, encode

        cells = []
        for image, caption in list(zip(self, self.captions, strict=False))[:MOST]:
            small = image.copy()
            small.thumbnail((LARGEST, LARGEST))
            pixels = "image-rendering:pixelated;" if max(small.size) <= 128 else ""
            cells.append(
                f'<figure style="display:inline-block;margin:4px;max-width:180px;vertical-align:top">'
                f'<img src="{encode(small)}" style="width:160px;{pixels}">'
                f'<figcaption style="font-size:12px">{escape(caption)}</figcaption></figure>'
            )
        more = f"<p>and {len(self) - MOST:,} more</p>" if len(self) > MOST else ""
        return "".join(cells) + more


def table(title: str, cells: Mapping[str, Any]) -> str:
    """Names and values, below a title."""
    row = f"<tr><th {LEFT}>{{}}</th><td {LEFT}>{{}}</td></tr>"
    rows = "".join(row.format(escape(name), escape(_text(value))) for name, value in cells.items())
    return f"<p><b>{escape(title)}</b></p><table>{rows}</table>"


def _text(value: Any) -> str:
    return str(getattr(value, "part_name", "") or value)
