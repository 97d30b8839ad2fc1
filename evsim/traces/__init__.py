"""What a run left behind and what it is held against: traces, references, verification."""
