"""One recorded run over all steps -> the program of one step, and what is left to do when all steps are over."""
