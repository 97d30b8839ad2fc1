"""What a run cost, in other people's conventions and against other networks."""
