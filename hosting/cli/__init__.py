"""The command line: the only package where generator, deployer, analysis and rehearsal meet."""
