"""Says what is wrong with a machine, what to type, and which pinned stack fits it.

In: the words of `doctor/__main__.py`. Out: a diagnosis, as text, Markdown or JSON. Needs the standard library only.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - plain ASCII, for Python 2 refuses more
    raise SystemExit(
        "doctor: this is Python %d.%d; it needs 3.10 or newer. Try: python3.11 -m doctor, or ./bevready doctor"  # noqa: UP031 - as above
        % sys.version_info[:2]
    )
