"""The report of a search: one HTML file that says which candidate wins, by how much, and whether to trust it.

Owns the page, its words and the drawing; what they say comes from `analysis`. Importing it is light: whatever draws or
counts is imported when a report is written.
"""

from tuner_app.views.report.page import write_report

__all__ = ["write_report"]
