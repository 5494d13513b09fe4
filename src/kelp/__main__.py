"""`python -m kelp`: the command line, for the children of `kelp up` among others."""

from kelp.cli.main import main

main()
