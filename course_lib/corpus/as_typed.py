"""Questions as people type them: the tidy ones of the question set, wrapped in greetings, small talk and thanks."""

from __future__ import annotations

import random

from course_lib.core.seeds import SEED
from course_lib.core.validate import require_text

# Half of each list is common, half is small talk that no list of phrases foresees.
BEFORE = (
    "Hi there,",
    "Hello, sorry to bother you, but could you please tell me:",
    "Good morning, I was wondering:",
    "My brother and I have been arguing about this since breakfast and he will not let it go, so here it is.",
    "I looked for ages on my phone while waiting for the bus, the screen is cracked, and found nothing.",
    "Not sure I am in the right place, my neighbour said you people know everything.",
)
AFTER = (
    "Thanks in advance!",
    "Many thanks for your help",
    "Cheers",
    "My daughter needs it for school by Monday and the printer is broken as well.",
    "No hurry, I am out walking the dog until dinner anyway.",
    "You would make an old man very happy, it has been a long week.",
)


def as_typed(question: str, *, seed: int = SEED) -> str:
    """Return a question with one phrase before and one after it, drawn by question and seed: always the same two.

    Made by template, so it is a trial of a system's patience and no sample of what people really type.
    """
    draw = random.Random(f"{seed} {require_text(question, name='question')}")
    return f"{draw.choice(BEFORE)} {question.strip()} {draw.choice(AFTER)}"
