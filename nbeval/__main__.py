"""``python -m nbeval`` is the command ``nbeval``."""

from runners.cli import main

if __name__ == "__main__":
    main()
