"""The report of a run: one set of facts as Markdown for a terminal and as a page for people.

In: what the stages left behind. Out: text. Nothing here measures anything, and nothing here judges.
"""

from repro.report.facts import SYNTHETIC, RunFacts
from repro.report.look import Look
from repro.report.page import Shows, page
from repro.report.text import report

__all__ = ["SYNTHETIC", "Look", "RunFacts", "Shows", "page", "report"]
