"""What writes a current: a file for each kind."""
