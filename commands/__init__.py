"""The command line: the only place where generator, deployer, analysis and rehearsal meet.

One module per command, imported when the command is run: `--help` must answer at once. Data goes to stdout,
progress and questions to stderr.
"""
