"""A diagnosis in words: for a terminal, as JSON, as Markdown. It decides nothing and looks at nothing."""

from doctor.render.differences import difference, difference_as_json
from doctor.render.document import advice_as_json, advice_row, as_json, fact_row, finding_row
from doctor.render.markdown import issue, markdown
from doctor.render.pages import rule_list, rule_page, rules_as_json
from doctor.render.plan import plan, plan_as_json
from doctor.render.sentences import advice_line, summary
from doctor.render.tables import tables, tables_as_json
from doctor.render.terminal import Line, Tone, terminal

__all__ = (
    "Line",
    "Tone",
    "advice_as_json",
    "advice_line",
    "advice_row",
    "as_json",
    "difference",
    "difference_as_json",
    "fact_row",
    "finding_row",
    "issue",
    "markdown",
    "plan",
    "plan_as_json",
    "rule_list",
    "rule_page",
    "rules_as_json",
    "summary",
    "tables",
    "tables_as_json",
    "terminal",
)
