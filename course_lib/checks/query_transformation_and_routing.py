"""Checks of lesson 05. A task's probes come from a random generator, so that graded words differ from practice."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from course_lib.classroom.check import Check, Probe, Slip, Task
from course_lib.core.types import Hit
from course_lib.core.validate import FloatArray
from course_lib.retrieval.embedding import normalise
from course_lib.retrieval.fusion import reciprocal_rank_fusion
from course_lib.retrieval.query import in_turns, mean_vector
from course_lib.retrieval.routed import confusion

THINGS = (
    "dam",
    "meter",
    "bridge",
    "battery",
    "trial",
    "stadium",
    "tariff",
    "turbine",
    "gene",
    "final",
    "boiler",
    "cell",
)
NAMES = ("Alder", "Birch", "Cedar", "Damson", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Linden", "Maple")
SHELVES = ("energy", "help_desk", "neurology", "world_cup")


def _some(rng: np.random.Generator, words: Sequence[str], n: int) -> list[str]:
    return [str(word) for word in rng.permutation(list(words))[:n]]


def read_queries(reply: str, limit: int) -> list[str]:
    """The reference for task 1, on the rules of the exercise."""
    found: dict[str, str] = {}
    for line in reply.splitlines():
        text = re.sub(r"^\s*(?:\d+[.)]\s+|[-*]\s+)", "", line).strip().strip('"').strip()
        if text and not text.endswith(":"):
            found.setdefault(text.lower(), text)
    return list(found.values())[:limit]


def _reading_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d = _some(rng, THINGS, 4)
    size = f"{int(rng.integers(2, 9))}.5 kW {a}"
    plain = f"1. age of the {a}\n2) price of the {b}\n3. {c} in winter"
    announced = f"Here are two queries:\n- age of the {a}\n* price of the {b}\n"
    quoted = f'1. "age of the {a}"\n\n2. "price of the {b}"\n'
    numbers = f"1. {size}\n{size} price"
    twice = f"1. age of the {a}\n2. Age of the {a}\n3. {d} in winter"

    def lines(reply: str) -> list[str]:
        return [line.strip() for line in reply.splitlines() if line.strip()]

    return (
        Probe(
            (plain, 5),
            read_queries(plain, 5),
            "One query a line, in order, without its number: '1.' and '2)' both mark one. What is left of each line?",
            (
                Slip(lines(plain), "Are the numbers part of the query? A search would look for them."),
                Slip([plain], "Is this one query? Each line is one."),
                Slip(
                    [re.sub(r"^\d+\.\s+", "", line) for line in lines(plain)],
                    "One of these numbers is marked '2)'. Which marks does your pattern know?",
                ),
                Slip([line[2:] for line in lines(plain)], "Is the space after the number part of the query?"),
            ),
        ),
        Probe(
            (announced, 5),
            read_queries(announced, 5),
            "A line that ends with a colon announces the list. The marks here are - and *. Which lines are queries?",
            (
                Slip(
                    ["Here are two queries:", *read_queries(announced, 5)],
                    "The first line announces the list. Would you search for it?",
                ),
                Slip(lines(announced)[1:], "These lines begin with - and *. Are they part of the query?"),
            ),
        ),
        Probe(
            (quoted, 5),
            read_queries(quoted, 5),
            "Quotation marks around a query, and empty lines, are no part of it. What is left?",
            (Slip([f'"age of the {a}"', f'"price of the {b}"'], "Do the quotation marks belong to the query?"),),
        ),
        Probe(
            (numbers, 5),
            read_queries(numbers, 5),
            "The second line begins with a number that belongs to the query. What tells '1. ' from '3.5'?",
            (
                Slip(
                    [size, f"{size} price".partition(".")[2]],
                    "You cut the size of the second line in two. What tells the mark '1. ' from the number 3.5?",
                ),
                Slip(
                    [size.partition(" ")[2], f"{size} price".partition(" ")[2]],
                    "You threw away a size that belongs to the query. What tells the mark '1. ' from the number 3.5?",
                ),
            ),
        ),
        Probe(
            (twice, 5),
            read_queries(twice, 5),
            "The first two lines are one query, written twice; capitals aside. How often should it be searched?",
            (
                Slip(
                    [f"age of the {a}", f"Age of the {a}", f"{d} in winter"],
                    "A query written twice would vote twice. Compare in lower case, and keep the first.",
                ),
                Slip([text.lower() for text in (f"Age of the {a}", f"{d} in winter")], "Which of the two is kept?"),
            ),
        ),
        Probe(
            (plain, 2),
            read_queries(plain, 2),
            "At most limit queries are asked for, the first ones.",
            (Slip(read_queries(plain, 5), "limit is 2. How many do you return?"),),
        ),
        Probe(("Sure, here you go:\n\n", 3), [], "Nothing here is a query. What is an empty list of queries?"),
    )


def split_choice(question: str) -> list[str]:
    """The reference for task 2: "Which ..., A or B?"."""
    stem, comma, choice = question.rstrip("?").rpartition(", ")
    left, either, right = choice.partition(" or ")
    return [f"{stem}: {left}", f"{stem}: {right}"] if comma and either else []


def _splitting_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c = _some(rng, NAMES, 3)
    thing, other = _some(rng, THINGS, 2)
    simple = f"Which {thing} is older, {a} or {b}?"
    commas = f"In the year 2020, which {thing} was older, {a} or the {other} of {b}?"
    described = f"Whose {thing} is taller, the one that {c} built or that of {a}?"
    plain = f"Who built the {thing} of {c}, and when?"
    early = f"Is it true or false that {a} built a {thing}?"
    stem = f"Which {thing} is older"
    return (
        Probe(
            (simple,),
            split_choice(simple),
            "Two queries: what comes before the last comma, a colon, and one of the two that ' or ' joins.",
            (
                Slip([a, b], "The sides alone say whom to look at, but not what for. Where is the question gone?"),
                Slip([f"{stem}: {a}", f"{stem}: {b}?"], "Is the question mark part of the second name?"),
                Slip([f"{stem}, {a}", f"{stem}, {b}"], "A colon stands between question and side, not a comma."),
                Slip([f"{stem}, {a}", f"{b}"], "The second query lost its question. What do both sides share?"),
                Slip([f"{stem}: {b}", f"{stem}: {a}"], "The sides are in the other order."),
            ),
        ),
        Probe(
            (commas,),
            split_choice(commas),
            "This question has two commas. At which one does the choice begin?",
            (
                Slip(
                    [
                        f"In the year 2020: {commas.partition(', ')[2].partition(' or ')[0]}",
                        f"In the year 2020: the {other} of {b}",
                    ],
                    "You cut at the first comma. The choice comes after the last one.",
                ),
            ),
        ),
        Probe(
            (described,),
            split_choice(described),
            "The sides may be any words: what stands between the last comma and ' or ', and what follows it.",
            (Slip([], "Nothing was split. Must a side be one word?"),),
        ),
        Probe(
            (plain,),
            [],
            "There is a comma, but no ' or '. What is a list without a side?",
            (Slip([plain], "Nothing was split. An empty list says so; the caller still has the question."),),
        ),
        Probe((early,), [], "There is ' or ', but no comma before it. Is this a choice between two things?"),
    )


def texts_to_search(query: str, made: Sequence[str]) -> tuple[list[str], bool]:
    """The reference for task 3."""
    texts = {query.lower(): query}
    for text in made:
        if text.strip():
            texts.setdefault(text.strip().lower(), text.strip())
    return list(texts.values()), len(texts) == 1


def _keeping_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c = _some(rng, THINGS, 3)
    query = f"How old is the {a}?"
    good, repeated, blank = (
        [f"age of the {a}", f"when the {b} was built"],
        [query.upper(), f"age of the {c}"],
        ["", "  "],
    )
    return (
        Probe(
            (query, good),
            texts_to_search(query, good),
            "The query comes first, then what was made of it; and nothing went wrong, so the second value is False.",
            (
                Slip((good, False), "Where is the original query? If the model missed the point, it is all you have."),
                Slip(([*good, query], False), "Which text comes first? The first ranking wins where two tie."),
                Slip([query, *good], "Two values are asked for: the texts, and whether nothing was made."),
                Slip((texts_to_search(query, good)[0], True), "Something was made of the query. What does True say?"),
            ),
        ),
        Probe(
            (query, repeated),
            texts_to_search(query, repeated),
            "The model repeated the query in capitals. A text that is searched twice votes twice.",
            (Slip(([query, *repeated], False), "The model repeated the query in capitals. Should it count twice?"),),
        ),
        Probe(
            (query, [query]),
            ([query], True),
            "The model only repeated the query: the baseline is searched. Does the second value say so?",
            (Slip(([query], False), "Nothing new was made. A fallback that is silent cannot be counted."),),
        ),
        Probe(
            (query, blank),
            ([query], True),
            "Two empty texts were made. What can be searched?",
            (
                Slip(([query, *blank], False), "An empty text cannot be searched. Leave it out."),
                Slip(([query], False), "Nothing was made of the query. A fallback that is silent cannot be counted."),
                Slip(([query, ""], False), "An empty text cannot be searched. Leave it out."),
            ),
        ),
        Probe((query, []), ([query], True), "Nothing was made of the query. What is searched, and who is told?"),
    )


def _turns(rankings: Sequence[Sequence[str]]) -> list[str]:
    return [hit.chunk_id for hit in in_turns([[Hit(name, 0.0) for name in ranking] for ranking in rankings])]


def _by_rank(rankings: Sequence[Sequence[str]]) -> list[str]:
    return [hit.chunk_id for hit in reciprocal_rank_fusion([[Hit(n, 0.0) for n in ranking] for ranking in rankings])]


def _turns_probes(rng: np.random.Generator) -> Sequence[Probe]:
    a, b, c, d, e, f = _some(rng, NAMES, 6)
    apart = [[a, b, c], [d, e, f]]
    shared = [[a, b, c], [c, b, d]]
    ragged = [[a], [b, c, d], [e, a, f]]

    def flat(rankings: list[list[str]]) -> list[str]:
        return [name for ranking in rankings for name in ranking]

    def until_the_shortest(rankings: list[list[str]]) -> list[str]:
        return list(dict.fromkeys(name for row in zip(*rankings, strict=False) for name in row))

    return (
        Probe(
            (apart,),
            _turns(apart),
            "The first of each ranking, then the second of each, and so on. Who stands second?",
            (
                Slip(flat(apart), "You took one whole ranking after the other. Where does the second side begin?"),
                Slip(flat(apart[::-1]), "You took one whole ranking after the other, the last one first."),
                Slip(_turns(apart[::-1]), "The right turns, but which ranking begins?"),
                Slip([[a, d], [b, e], [c, f]], "One flat list is asked for."),
                Slip([(a, d), (b, e), (c, f)], "One flat list is asked for."),
            ),
        ),
        Probe(
            (shared,),
            _turns(shared),
            "Two chunks stand in both rankings. Each may come once, where it is first met.",
            (
                Slip(
                    [name for row in zip(*shared, strict=True) for name in row],
                    "Two chunks come twice. Each place that is used twice is lost to another.",
                ),
                Slip(
                    _by_rank(shared), "This is RRF: it puts first what both found. In turns, each side has its share."
                ),
            ),
        ),
        Probe(
            (ragged,),
            _turns(ragged),
            "These rankings are not equally long. What happens when the first one has no more to give?",
            (Slip(until_the_shortest(ragged), "You stopped with the shortest ranking. The others have more to give."),),
        ),
        Probe(([],), [], "There is no ranking at all. What is fused of nothing?"),
    )


def _hyde_probes(rng: np.random.Generator) -> Sequence[Probe]:
    query = normalise(rng.normal(size=(1, 5)).astype(np.float32))[0]
    one = normalise(rng.normal(size=(1, 5)).astype(np.float32) + 2 * query)
    three = normalise(rng.normal(size=(3, 5)).astype(np.float32) + query)
    none = np.empty((0, 5), np.float32)

    def right(passages: FloatArray) -> FloatArray:
        return mean_vector(np.vstack([query[None, :], passages]))

    def unit(vector: FloatArray) -> FloatArray:
        return np.asarray(vector / np.linalg.norm(vector))

    return (
        Probe(
            (query, one),
            right(one),
            "The mean of two vectors, the query's and the passage's, scaled to length 1.",
            (
                Slip(one[0], "This is the passage alone. Where is the query?"),
                Slip(query, "This is the query alone. Where is the passage?"),
                Slip((query + one[0]) / 2, "What is the length of this vector? The mean of two directions is shorter."),
                Slip(query + one[0], "What is the length of this vector? An index compares vectors of length 1."),
                Slip(np.vstack([query, one]), "One vector is asked for. Over which axis do you average?"),
            ),
        ),
        Probe(
            (query, three),
            right(three),
            "Four vectors have one vote each: the query's and those of three passages.",
            (
                Slip(unit(three.mean(axis=0)), "Four vectors vote. Is the query among them?"),
                Slip(
                    unit(query + three.mean(axis=0)),
                    "Here the query weighs as much as all passages together. Each of the four has one vote.",
                ),
                Slip(unit(query + three[0]), "There are three passages. Which of them do you use?"),
                Slip(np.vstack([query, three]).mean(axis=0), "What is the length of this vector?"),
            ),
        ),
        Probe(
            (query, none),
            query,
            "The model gave no passage: passages has shape (0, dim). What is the mean of the query alone?",
        ),
    )


def _routing_probes(rng: np.random.Generator) -> Sequence[Probe]:
    centroids = np.eye(4, 6, dtype=np.float32)
    shelves = _some(rng, SHELVES, 4)

    def query(*cosines: float) -> FloatArray:
        first = np.array([*cosines, 0.0, 0.0], dtype=np.float32)
        first[4] = np.sqrt(1 - (first**2).sum())
        return first

    clear, below = query(0.1, 0.75, 0.2, 0.3), query(-0.5, -0.1, -0.4, -0.6)
    alike, close, tie = query(0.3, 0.34, 0.31, 0.32), query(0.5, 0.25, 0.55, 0.1), query(0.4, 0.1, 0.4, 0.2)
    return (
        Probe(
            (clear, centroids, shelves, 0.1),
            shelves[1],
            "Which row of centroids has the largest dot product with the query? Return the shelf of that row.",
            (
                Slip(1, "This is the number of the row. Which shelf is it?"),
                Slip(shelves[0], "This is the farthest shelf. A larger cosine is nearer."),
                Slip(sorted(shelves)[1], "Did you sort the shelves? Row i belongs to shelves[i]."),
            ),
        ),
        Probe(
            (below, centroids, shelves, 0.1),
            shelves[1],
            "All cosines are negative, but the best is 0.3 ahead of the second. Is min_lead a height or a lead?",
            (Slip(shelves[3], "Did you take absolute values? -0.6 is far, not near."),),
        ),
        Probe(
            (alike, centroids, shelves, 0.1),
            None,
            "All four cosines lie between 0.30 and 0.34, and a lead of 0.1 is asked for. What says 'search all shelves'?",
            (
                Slip(shelves[1], "All four are nearly alike, and min_lead is 0.1. When are you not sure?"),
                Slip("all", "None says 'search all shelves'."),
            ),
        ),
        Probe(
            (close, centroids, shelves, 0.1),
            None,
            "The best is only 0.05 ahead of the second, and 0.1 is asked for.",
            (
                Slip(
                    shelves[2], "0.55 is only 0.05 ahead of 0.50, and min_lead is 0.1. Do you compare with the second?"
                ),
            ),
        ),
        Probe(
            (close, centroids, shelves, 0.02),
            shelves[2],
            "The best is 0.05 ahead of the second, and 0.02 is asked for. What did you compare it with?",
        ),
        Probe(
            (tie, centroids, shelves, 0.0),
            None,
            "Two shelves are equally near, and min_lead is 0. Is a tie a lead?",
            (Slip(shelves[0], "Two shelves are equally near. The first of them is a guess: a tie is no lead."),),
        ),
    )


def _confusion_probes(rng: np.random.Generator) -> Sequence[Probe]:
    shelves = _some(rng, SHELVES, 3)
    a, b, c = shelves
    true, routed = [a, a, a, b, b, c], [a, a, b, b, c, c]
    unsure: list[str | None] = [a, None, b, None, None, c]

    def table(routed: Sequence[str | None]) -> FloatArray:
        return np.array(confusion(true, routed, shelves), dtype=np.float32)

    right = table(routed)
    swapped = np.hstack([right[:, :3].T, right[:, 3:]])
    by_name = np.array(confusion(true, routed, sorted(shelves)), dtype=np.float32)
    return (
        Probe(
            (true, routed, shelves),
            right,
            "Row i counts the questions of shelves[i], column j those of them sent to shelves[j]; one more column at the end.",
            (
                Slip(swapped, "Rows and columns are swapped. Which one is the truth?"),
                Slip(right[:, :3], "Where do questions go that are sent to all shelves? There is one more column."),
                Slip(right / right.sum(axis=1, keepdims=True), "Counts are asked for, not shares."),
                *([] if shelves == sorted(shelves) else [Slip(by_name, "Did you sort the shelves? Keep their order.")]),
            ),
        ),
        Probe(
            (true, unsure, shelves),
            table(unsure),
            "None means that all shelves are searched. In which column is that counted?",
            (
                Slip(
                    np.hstack([table(unsure)[:, :3], np.zeros((3, 1))]),
                    "Three questions were sent to all shelves (None). Where are they?",
                ),
                Slip(
                    np.hstack([table(unsure)[:, :3], table(unsure)[::-1, 3:]]),
                    "The last column counts in which row?",
                ),
            ),
        ),
        Probe(
            ([a, a], [a, "attic"], shelves),
            ValueError,
            "A question was sent to a shelf that is not in the list. Raise a ValueError rather than leave it out.",
        ),
    )


TASKS = (
    Task(
        "reading",
        "read_queries",
        "Read a list that a model wrote",
        3,
        _reading_probes,
        (
            "Go through reply.splitlines(). For each line: take the mark off, strip spaces, then strip quotation marks.",
            r"re.sub(r'^\s*(?:\d+[.)]\s+|[-*]\s+)', '', line): a number counts as a mark only if . or ) and a space follow.",
            "A dictionary {text.lower(): text} filled with setdefault keeps the first of each, in order.",
        ),
        "A model is asked for a list and gives an announcement, numbers, quotation marks, the same line twice. What is not "
        "taken off is searched for. What is taken off by too simple a pattern is lost: the 3 of 3.5 kW.",
    ),
    Task(
        "splitting",
        "split_choice",
        "Split a comparison by rule",
        2,
        _splitting_probes,
        (
            "str.rpartition(', ') cuts at the last comma: (before, comma, after). str.partition cuts at the first.",
            "If there was no comma, or no ' or ' after it, return [].",
            "f'{before}: {left}' and f'{before}: {right}', without the question mark.",
        ),
        "One pattern, no model, no seconds. Each side keeps the question, so that its query says what to look for. A pattern "
        "that does not match says so with an empty list, and the question is searched as it stands.",
    ),
    Task(
        "keeping",
        "texts_to_search",
        "Keep the original query",
        2,
        _keeping_probes,
        (
            "Begin with a dictionary that holds the query: {query.lower(): query}.",
            "Add each text that is not blank with setdefault(text.strip().lower(), text.strip()).",
            "If the dictionary still has one entry, nothing was made: the second value is True.",
        ),
        "The original query is the cheapest insurance against a bad rewriting. And a fallback must be visible: a system "
        "that falls back in silence scores like its baseline, and nobody knows why.",
    ),
    Task(
        "turns",
        "in_turns",
        "Fuse rankings in turns",
        2,
        _turns_probes,
        (
            "The outer loop goes over ranks 0, 1, 2, ...; the inner one over rankings.",
            "The number of ranks is that of the longest ranking; a shorter one is skipped when it has no more.",
            "dict.fromkeys(names) keeps the first of each, in order: list(dict.fromkeys(...)).",
        ),
        "The two sides of a comparison have different passages. RRF puts first what all rankings agree on, and that is "
        "neither of them. In turns, each side has its share of the first places.",
    ),
    Task(
        "hyde",
        "hyde_vector",
        "Search between the query and invented passages",
        2,
        _hyde_probes,
        (
            "np.vstack([query[None, :], passages]) puts all vectors into one array (1 + n, dim).",
            ".mean(axis=0) is the mean; it is shorter than 1 unless all point the same way.",
            "Divide by np.linalg.norm(mean).",
        ),
        "HyDE searches near what an answer might look like. The query stays among the vectors, so that an invented passage "
        "can pull the search aside, but not carry it off. Without a passage, what remains is the query.",
    ),
    Task(
        "routing",
        "route",
        "Route by centroid, or say that you are not sure",
        3,
        _routing_probes,
        (
            "centroids @ query gives one cosine a shelf.",
            "np.argsort(-cosines) sorts best first; the lead is the best minus the second.",
            "Return None if the lead is 0 or below min_lead, else shelves[best].",
        ),
        "A wrong route cannot be repaired: the passage is on a shelf that nobody opened. Searching all shelves costs little, "
        "so a router should be allowed to say that it does not know.",
    ),
    Task(
        "confusions",
        "confusion",
        "Count what went where",
        2,
        _confusion_probes,
        (
            "Make np.zeros((n, n + 1)) for n shelves, and a dictionary {shelf: number}.",
            "table[row of the truth, column of the route] += 1; None goes to the last column.",
            "If a name is not in the dictionary, raise ValueError.",
        ),
        "One share of right routes hides which shelf suffers. The table shows it: a row that spreads is a shelf whose "
        "questions are lost, and the last column is what caution costs.",
    ),
)

check = Check("05_query_transformation_and_routing", TASKS)
