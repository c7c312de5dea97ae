"""``python -m gosuper APP``."""

from gosuper._runner import main

if __name__ == "__main__":
    main()
