"""``python -m reidpipe``: the same as the ``reidpipe`` command."""

from reidpipe.cli import main

main()
