"""The directory that is put on the path of Python programs that a guarded test starts, with their start-up code."""
