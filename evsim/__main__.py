"""``python -m evsim``."""

from evsim.cli import main

main()
