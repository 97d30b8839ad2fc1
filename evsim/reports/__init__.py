"""One run as one HTML page that needs nothing but itself."""

from evsim.reports.page import html_page
from evsim.reports.story import Story, tell
from evsim.reports.trace_story import tell_trace

__all__ = ["Story", "html_page", "tell", "tell_trace"]
