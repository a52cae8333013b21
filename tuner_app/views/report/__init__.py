"""The report of a search: one HTML file that says which candidate wins, by how much, and whether to trust it.

Owns the page (`page`, `rendering`, `templates/`), its words (`notes`, `cards`, `results`) and the drawing (`plots`,
`panels`, `svg`). What they say comes from `analysis`; nothing here changes a search. Importing it is light: whatever
counts or draws is imported when a report is written.
"""

from tuner_app.views.report.page import write_report

__all__ = ["write_report"]
