"""What can go wrong by a user's hand: each message names the file, the value found and what was expected."""


class EvsimError(Exception):
    """One line for the person at the terminal; the command line prints it and exits with code 2."""


class CheckpointError(EvsimError):
    """A checkpoint or weights file cannot be read, is hostile, or does not fit the network it is given to."""


class RecordingError(EvsimError):
    """An input file is not a recording evsim can read, or does not fit the network."""


class TraceError(EvsimError):
    """A trace or reference file is damaged, or does not belong to this network."""


class NetworkError(EvsimError):
    """A network was declared wrongly: an unknown source, an edge pointing backwards, a shape that does not fit."""
