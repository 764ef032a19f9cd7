"""`python -m dashnas`, for where the script is not on the path."""

from dashnas.cli import main

main()
