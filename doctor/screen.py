"""Standard output: in colour or plain, in any encoding, listened to or not. What to say is `render`'s."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.render import Line

STYLES = {"good": "green", "bad": "bold red", "doubtful": "yellow", "quiet": "dim", "plain": ""}
# control characters but tab and newline: a recording or a log may come from a stranger
STEERING = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), " ")


def show(text: str) -> None:
    """Print, replacing what the terminal's encoding cannot show and what would steer it. Nobody may be listening."""
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.translate(STEERING).encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()


def show_lines(lines: Sequence[Line]) -> None:
    """Print in colour where rich is importable and somebody looks, plainly elsewhere."""
    plain = "\n".join(text for _, text in lines)
    if sys.stdout is None or not sys.stdout.isatty():
        show(plain)
        return
    try:
        from rich.console import Console  # noqa: PLC0415 — optional, and only for a terminal
        from rich.text import Text  # noqa: PLC0415
    except ImportError:
        show(plain)
        return
    console = Console(highlight=False, soft_wrap=True)
    for tone, text in lines:
        console.print(Text(text, style=STYLES[tone]))
