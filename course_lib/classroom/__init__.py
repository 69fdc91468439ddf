"""For learners and instructors: instant checks, progress, the learner's workspace, grading. Needs core alone."""
