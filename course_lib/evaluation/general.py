"""General prompts with marks that a program gives: what a language model could do before it was tuned for one task."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from course_lib.evaluation.answers import contains

Mark = Callable[[str], bool]


@dataclass(frozen=True)
class GeneralPrompt:
    """One request, without a passage and on none of the course's shelves. mark: whether a reply does what is asked."""

    kind: str
    text: str
    mark: Mark


def _says(*golds: str) -> Mark:
    return lambda reply: bool(contains(reply, golds))


def _begins(word: str) -> Mark:
    return lambda reply: bool(re.match(rf"\W*{word}\b", reply, re.I))


def _holds(pattern: str, times: int = 1) -> Mark:
    return lambda reply: len(re.findall(pattern, reply)) >= times


GENERAL_PROMPTS = (
    GeneralPrompt("arithmetic", "What is 2 + 3?", _says("5")),
    GeneralPrompt("arithmetic", "What is 7 + 5?", _says("12")),
    GeneralPrompt("arithmetic", "What is 10 - 4?", _says("6")),
    GeneralPrompt("arithmetic", "What is 6 x 3?", _says("18")),
    GeneralPrompt("arithmetic", "What is 20 divided by 4?", _says("5")),
    GeneralPrompt("arithmetic", "What is 50 + 50?", _says("100")),
    GeneralPrompt("arithmetic", "How many minutes are in 2 hours?", _says("120")),
    GeneralPrompt("arithmetic", "I have 3 apples and buy 4 more. How many apples do I have?", _says("7")),
    GeneralPrompt("knowledge", "What is the capital of France?", _says("Paris")),
    GeneralPrompt("knowledge", "What is the capital of Italy?", _says("Rome")),
    GeneralPrompt("knowledge", "Which planet is closest to the Sun?", _says("Mercury")),
    GeneralPrompt("knowledge", "Who wrote Romeo and Juliet?", _says("Shakespeare")),
    GeneralPrompt("knowledge", "What is the chemical formula of water?", _says("H2O", "H 2 O", "H₂O")),
    GeneralPrompt("knowledge", "How many legs does a spider have?", _says("8")),
    GeneralPrompt("knowledge", "What is the largest ocean on Earth?", _says("Pacific")),
    GeneralPrompt("knowledge", "Which gas do plants take in from the air to grow?", _says("carbon dioxide", "CO2")),
    GeneralPrompt("completion", "Complete the sentence: The opposite of hot is", _says("cold")),
    GeneralPrompt("completion", "Complete the sentence: A young dog is called a", _says("puppy")),
    GeneralPrompt("completion", "Complete the saying: An apple a day keeps the", _says("doctor")),
    GeneralPrompt("completion", "Which day comes after Monday?", _says("Tuesday")),
    GeneralPrompt("completion", "Which month comes after March?", _says("April")),
    GeneralPrompt("completion", "Which number comes next: 2, 4, 6, 8, ...?", _says("10")),
    GeneralPrompt("instruction", "Translate into French: Good morning.", _says("bonjour")),
    GeneralPrompt("instruction", "Write the word river in capital letters.", _holds(r"\bRIVER\b")),
    GeneralPrompt("instruction", "Write the word stone three times.", _holds(r"(?i)\bstone\b", 3)),
    GeneralPrompt("instruction", "Begin your sentence with the word Tomorrow and go on.", _begins("tomorrow")),
    GeneralPrompt("instruction", "Answer with yes or no: Is ice cold?", _begins("yes")),
    GeneralPrompt("instruction", "Answer with yes or no: Can a stone swim?", _begins("no")),
    GeneralPrompt("instruction", "List three colours, each on a line of its own.", _holds(r"(?m)^\s*\S+", 3)),
    GeneralPrompt("instruction", "Write one sentence about a cat on a roof.", _holds(r"(?is)\bcat\b.*\broof")),
)

REFERENCE_TEXTS = (
    ("What is rain?", "Rain is water that falls from clouds. Warm air carries vapour upwards, where it cools and turns into small drops. When the drops grow too heavy to float, they fall."),
    ("Why do leaves change colour in autumn?", "In autumn the days grow short, and trees stop making the green substance that catches light. As the green fades, the yellow and orange that were there all along can be seen."),
    ("How do I boil an egg?", "Put the egg into boiling water and lower the heat a little. After six minutes the yolk is still soft; after ten it is firm. Cool the egg in cold water before you peel it."),
    ("What is a library for?", "A library lends books to people who cannot or do not want to buy them. It is also a quiet place to read, to learn and to ask somebody who knows where to look."),
    ("Describe the sea at night.", "The water was black, and only the foam could be seen. Far out, a single light moved slowly from left to right. The sound of the waves came and went like breathing."),
    ("How does a bicycle stay upright?", "A moving bicycle is kept upright by steering. When it begins to lean to one side, the rider turns the front wheel to the same side, and the wheels move back under the weight."),
    ("Why do we sleep?", "Sleep gives the body time to repair itself and the brain time to sort what it has learned. People who sleep too little find it hard to pay attention and to remember."),
    ("What is a verb?", "A verb is a word for what somebody does or for what happens. Run, think and be are verbs. Most verbs change their form to show whether something is past or present."),
    ("How should I start to learn the piano?", "Begin with one hand and a short melody, and play it slowly until it is even. Practise for a quarter of an hour every day rather than for two hours once a week."),
    ("Tell me about bees.", "Bees live in large families and share the work. Some look for flowers, others clean the hive or feed the young. On the way from flower to flower they carry pollen, and fruit can grow."),
    ("What makes a good friend?", "A good friend listens, keeps a promise and tells you the truth even when it is hard to hear. You can be silent together, and neither of you minds."),
    ("How is bread made?", "Bread is made of flour, water, salt and yeast. The dough is worked by hand, left in a warm place until it has risen, and baked in a hot oven until the crust is brown."),
)  # fmt: skip


def general_marks(replies: Sequence[str], prompts: Sequence[GeneralPrompt] = GENERAL_PROMPTS) -> list[float]:
    """Return 1.0 for each reply that does what its prompt asks, otherwise 0.0, in order.

    Rules, not readers: a reply that says the right word among wrong ones passes. Raises ValueError unless there is one
    reply to each prompt.
    """
    if len(replies) != len(prompts):
        raise ValueError(f"replies must hold one reply to each of the {len(prompts)} prompts, got {len(replies)}")
    return [float(prompt.mark(reply)) for prompt, reply in zip(prompts, replies, strict=True)]
