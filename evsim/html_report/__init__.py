"""One run as one HTML page that needs nothing but itself."""

from evsim.html_report.page import html_page
from evsim.html_report.story import Story, tell

__all__ = ["Story", "html_page", "tell"]
