"""The public face for Python: what ``import evsim`` offers, and what every verb of the command line calls."""
