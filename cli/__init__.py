"""The command line, which is installed as ``anogan.cli``."""
