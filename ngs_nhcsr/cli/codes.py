"""Exit codes of every command; 0 is done."""

#: Something went wrong that the caller did not do: a solver failed, a package is missing, the disk is full.
FAILED = 1
#: An option or a file is wrong; also what the parser of the options ends with.
WRONG_INPUT = 2
#: The result is there, and missed what was asked for or failed a check.
UNTRUSTED = 3
