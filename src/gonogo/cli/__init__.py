"""The command line: a command is parse, one workflow call, print."""
