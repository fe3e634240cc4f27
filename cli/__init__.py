"""The command line; installs as ``anogan.cli``."""
