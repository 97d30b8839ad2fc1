"""``python -m evsim.cli``."""

from evsim.cli import main

main()
