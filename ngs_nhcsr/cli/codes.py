"""Exit codes of every command; 0 is done."""

#: There is no result to rely on: it missed what was asked for or failed a check (and is written all the same), or a
#: solver failed, a package is missing, the disk is full.
NO_RESULT = 1
#: An option or a file is wrong; also what the parser of the options ends with.
WRONG_INPUT = 2
#: Ctrl-C.
INTERRUPTED = 130
