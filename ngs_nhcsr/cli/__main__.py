"""``python -m ngs_nhcsr.cli``."""

from . import main

main()
