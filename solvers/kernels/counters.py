"""Where a signal has its counters: it is an int64 array of four cache lines, by which a thread is given jobs."""

#: Jobs given to the thread; jobs that it has begun, and done; whether it has to be woken; length of the array.
JOB, BEGUN, DONE, ASLEEP, LENGTH = 0, 8, 16, 24, 32
