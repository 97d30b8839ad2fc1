"""Tables that go into a manuscript as they are: numbers rounded by their uncertainty, notes, a width that fits."""
