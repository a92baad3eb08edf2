"""``python -m listwise``."""

from listwise.cli import main

if __name__ == "__main__":
    main()
