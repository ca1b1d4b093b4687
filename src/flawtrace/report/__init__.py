"""What a run has to show: one self-contained page, its plots, and the facts that a bug report needs.

A run's folder enters, and an `Evaluation` if there is one; an HTML file leaves. `style` is how all plots of
the project look, `template` what all pages are made with.
"""

from flawtrace.report import plots, style
from flawtrace.report.contrast import COMPARISON_NAME, MEANINGS, word_for, write_comparison
from flawtrace.report.diagnosis import examined
from flawtrace.report.gallery import Shown, gallery
from flawtrace.report.page import REPORT_NAME, can_report, write_report
from flawtrace.report.pages import environment, template
from flawtrace.report.pictures import captioned
from flawtrace.report.sheet import contact_sheet

__all__ = [
    "COMPARISON_NAME",
    "MEANINGS",
    "REPORT_NAME",
    "Shown",
    "can_report",
    "captioned",
    "contact_sheet",
    "environment",
    "examined",
    "gallery",
    "plots",
    "style",
    "template",
    "word_for",
    "write_comparison",
    "write_report",
]
