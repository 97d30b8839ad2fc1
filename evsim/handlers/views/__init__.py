"""Views of a value: another order of its places, parts of it, several copies; no arithmetic."""
