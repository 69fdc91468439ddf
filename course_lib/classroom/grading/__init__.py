"""Grading hand-ins. They are hostile code until proven otherwise: the learner's functions run in a sandboxed process that
gets arguments and returns data, and what is right is known only on this side of the border.

    grade   one hand-in to points          folder   a class, in parallel           report      CSV, JSON, feedback pages
    wire    asks a worker process          sandbox  starts it in bubblewrap        submission  which cells are the learner's
    worker  what runs in there             seccomp  what it may not ask the kernel
"""
