"""``python -m pyflossing``: the command ``pyflossing``."""

from pyflossing.cli import main

if __name__ == "__main__":
    main()
