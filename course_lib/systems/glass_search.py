"""The search of the glass pipeline: filters, words, meaning, fusion, versions, late interaction, each list kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from course_lib.core.types import Chunk, Hit, Ranking, ranked
from course_lib.core.validate import FloatArray, require_k, require_text
from course_lib.retrieval.exact import indexed_text
from course_lib.retrieval.filtering import ANYTHING, latest_version, versions_asked_for
from course_lib.retrieval.fusion import fuse, says_nothing
from course_lib.retrieval.late_interaction import max_sims
from course_lib.retrieval.query import in_turns
from course_lib.retrieval.tokenising import content_stems
from course_lib.systems.glass_trace import GlassTrace, Match, Settings, distinctive, whole_words
from course_lib.systems.room import Room

MAX_QUESTION = 1000  # characters: the encoder reads 256 tokens, and cuts silently what is beyond
DEPTH = 100  # hits of each search that are fused
READ_AGAIN = 50  # hits that late interaction reads
EXPLAINED, N_MATCHES = 5, 3  # passages whose best matches are named, and how many of each


def require_question(question: object) -> str:
    """Return question without white space at its ends.

    Raises TypeError unless it is a str, ValueError if it is empty or longer than MAX_QUESTION characters.
    """
    text = require_text(question, name="question").strip()
    if len(text) > MAX_QUESTION:
        raise ValueError(
            f"question must be at most {MAX_QUESTION:,} characters, got {len(text):,}: the encoder would not read the "
            "rest; ask in a sentence or two"
        )
    return text


@dataclass(frozen=True)
class GlassSearch:
    """A retriever as a value: a room, and settings that say which steps are on."""

    room: Room
    settings: Settings = field(default_factory=Settings)

    def __len__(self) -> int:
        return len(self.room)

    def chunk(self, chunk_id: str) -> Chunk:
        """Return the chunk with this id; raise KeyError if there is none."""
        return self.room.chunk(chunk_id)

    def search(self, query: str, k: int) -> Ranking:
        """Return the k best chunks of the last list; fewer if the filters leave fewer."""
        require_k(k, min(len(self), READ_AGAIN), of="hits that the last step sees")
        *_, trace = self.steps(query)
        return trace.rankings[trace.last_list][:k]

    def steps(self, question: str) -> Iterator[GlassTrace]:
        """Yield the trace after each step.

        Raises TypeError or ValueError for a question that is none, or filters that nothing passes.
        """
        for trace in self._steps(require_question(question)):
            kept = {hit.chunk_id for ranking in trace.rankings.values() for hit in ranking[:READ_AGAIN]}
            kept |= {name for names in trace.dropped.values() for name in names}
            chunks = {name: self.chunk(name) for name in kept}
            documents = {chunk.doc_id: self.room.documents[chunk.doc_id] for chunk in chunks.values()}
            yield replace(trace, chunks=chunks, documents=documents)

    def _steps(self, question: str) -> Iterator[GlassTrace]:
        on = self.settings.on
        trace, started = GlassTrace(question, self.settings, len(self)), perf_counter()
        passing = self._passing()
        if not passing:
            raise ValueError(f'no chunk of {len(self)} passes the filter "{self.settings.filter()}"; loosen it')
        trace = trace.timed("filters", perf_counter() - started, n_passing=len(passing))
        vector = None
        if "meaning" in on:
            started = perf_counter()
            vector = self.room.embedder([question])[0]
            trace = trace.timed("vector", perf_counter() - started, vector=vector)
            yield trace
        if "words" in on:
            yield (trace := self._searched(trace, "words", passing, lambda n: self.room.words.search(question, n)))
        if vector is not None:
            found = vector
            yield (
                trace := self._searched(trace, "meaning", passing, lambda n: self.room.dense.index_.search(found, n))
            )
        if {"words", "meaning"} <= on:
            yield (trace := self._fused(trace))
        if "versions" in on:
            yield (trace := self._by_version(trace))
        if "rerank" in on:
            yield self._reread(trace)

    def _passing(self) -> set[str]:
        keep, documents = self.settings.filter(), self.room.documents
        names = {name for name, document in documents.items() if keep is ANYTHING or keep(document)}
        return {chunk.chunk_id for chunk in self.room.dense.chunks_.values() if chunk.doc_id in names}

    def _searched(
        self, trace: GlassTrace, step: str, passing: set[str], search: Callable[[int], Ranking]
    ) -> GlassTrace:
        started, everything = perf_counter(), len(passing) == len(self)
        hits = search(min(DEPTH, len(self)) if everything else len(self))
        allowed = [hit for hit in hits if hit.chunk_id in passing][:DEPTH]
        ahead = hits[: hits.index(allowed[-1])] if allowed else hits
        dropped = tuple(hit.chunk_id for hit in ahead if hit.chunk_id not in passing)[:EXPLAINED]
        note = (
            "No word of the question is known: all scores are 0." if step == "words" and says_nothing(allowed) else ""
        )
        return trace.timed(
            step,
            perf_counter() - started,
            note=note,
            rankings=trace.with_ranking(step, allowed),
            dropped={**trace.dropped, step: dropped} if dropped else trace.dropped,
        )

    def _fused(self, trace: GlassTrace) -> GlassTrace:
        started = perf_counter()
        lists = [trace.rankings[name] for name in ("words", "meaning")]
        telling = [ranking for ranking in lists if not says_nothing(ranking)] or lists
        if "fusion" in self.settings.on:
            ranking = fuse(telling, method="z_score")
            note = "Scores of each list in standard deviations from its mean, averaged."
        else:
            ranking, note = in_turns(telling), "Off: hits are taken from each list in turn."
        if len(telling) < len(lists):
            note += " A list whose scores are all equal says nothing and is left out."
        return trace.timed(
            "fusion", perf_counter() - started, note=note, rankings=trace.with_ranking("fusion", ranking)
        )

    def _by_version(self, trace: GlassTrace) -> GlassTrace:
        started, rule = perf_counter(), versions_asked_for(trace.question)
        before = trace.rankings[trace.last_list]
        documents = {hit.chunk_id: self.room.documents[self.chunk(hit.chunk_id).doc_id] for hit in before}
        old = tuple(hit.chunk_id for hit in before if not latest_version()(documents[hit.chunk_id]))
        gone = () if rule is ANYTHING else old
        note = f"The question asks what holds now. Superseded passages left out: {len(old)}."
        if rule is ANYTHING:
            note = f"The question looks back or compares. Superseded passages that may stay: {len(old)}."
        if len(gone) == len(before):
            gone, note = (), "Every passage found is superseded: all stay."
        ranking = [hit for hit in before if hit.chunk_id not in gone]
        return trace.timed(
            "versions",
            perf_counter() - started,
            note=note,
            rankings=trace.with_ranking("versions", ranking),
            dropped={**trace.dropped, "versions": gone} if gone else trace.dropped,
        )

    def _reread(self, trace: GlassTrace) -> GlassTrace:
        started, store = perf_counter(), self.room.tokens
        head = [hit.chunk_id for hit in trace.rankings[trace.last_list][:READ_AGAIN]]
        n_known = sum(name in store for name in head)
        store.add({name: indexed_text(self.chunk(name)) for name in head})
        query = store.encode([trace.question])[0]  # (n_query, dim)
        passages = [store[name] for name in head]  # each (n_tokens, dim)
        scores = max_sims(query, passages)  # (n,)
        ranking = ranked(Hit(name, float(score)) for name, score in zip(head, scores, strict=True))
        note = f"{len(head)} passages read; token vectors of {len(head) - n_known} were made now."
        return trace.timed(
            "rerank",
            perf_counter() - started,
            note=note,
            rankings=trace.with_ranking("rerank", ranking),
            matches=self._matches(trace.question, query, head, passages, ranking[:EXPLAINED]),
        )

    def _matches(
        self, question: str, query: FloatArray, names: Sequence[str], passages: Sequence[FloatArray], best: Ranking
    ) -> dict[str, tuple[Match, ...]]:
        similarities = [query @ vectors.T for vectors in passages]  # each (n_query, n_tokens)
        lead = distinctive(np.stack([each.max(axis=1) for each in similarities], axis=1))  # (n_query, n)
        asked = self._words_of(question)
        telling = [bool(content_stems(word)) for word in asked]  # "the" would be named for nearly every passage
        telling = telling if any(telling) else [word.isalnum() for word in asked]
        found: dict[str, tuple[Match, ...]] = {}
        for hit in best:
            place = names.index(hit.chunk_id)
            theirs = self._words_of(indexed_text(self.chunk(hit.chunk_id)))
            pairs: dict[str, Match] = {}
            for i in np.argsort(-lead[:, place], kind="stable"):
                j = int(similarities[place][i].argmax())
                if telling[i]:
                    value = float(similarities[place][i, j])
                    pairs.setdefault(asked[i], Match(asked[i], theirs[j], value, float(lead[i, place])))
            found[hit.chunk_id] = tuple(pairs.values())[:N_MATCHES]
        return found

    def _words_of(self, text: str) -> list[str]:
        embedder = self.room.embedder
        tokens = embedder.tokenizer(text, truncation=True, max_length=embedder.max_tokens, return_offsets_mapping=True)
        return whole_words(text, tokens["offset_mapping"][1:-1])
