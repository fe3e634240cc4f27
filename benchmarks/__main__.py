"""`python -m benchmarks`, from the repository root."""

from .command import main

if __name__ == "__main__":  # worker processes import this file too
    main()
