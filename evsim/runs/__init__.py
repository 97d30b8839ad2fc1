"""One recording through one network, and everything a person wants to know of it."""
