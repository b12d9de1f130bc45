"""The links that a person should look at: made with little certainty, or nearly made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reidpipe.report.certainty import Certainty, probability
from reidpipe.report.results import Person, Visit

__all__ = ["DOUBTFUL", "Doubt", "Doubts", "find_doubts"]

DOUBTFUL = (0.1, 0.9)
"""Between these probabilities a link is doubtful, whether it was made or not."""

MOST = 24


@dataclass(frozen=True, slots=True)
class Doubt:
    """One question: are these two the same person?

    Attributes:
        one: the first.
        other: the second; the same as ``one`` when the question is whether ``visit`` belongs to it.
        visit: the doubtful visit, or None when it is about two identities.
        chance: probability that they are one person.
    """

    one: Person
    other: Person
    visit: Visit | None
    chance: float

    @property
    def pictures(self) -> tuple[str | None, str | None]:
        """What to look at, one path for each side. A visit has its own picture, or else the best of its camera."""
        if self.visit is None:
            return self.one.thumbnail, self.other.thumbnail
        camera = self.visit.key.camera
        mine = self.visit.thumbnail or self.one.thumbnails.get(camera)
        others = [file for name, file in self.one.thumbnails.items() if name != camera and file != mine]
        best = self.one.thumbnail
        return mine, best if best in others or (best != mine and not others) else next(iter(others), None)

    @property
    def others(self) -> list[str]:
        """Where the person was in the visits that are not in question, by first appearance."""
        return list(dict.fromkeys(visit.key.camera for visit in self.other.visits if visit is not self.visit))


@dataclass(frozen=True, slots=True)
class Doubts:
    """Doubtful links, the most doubtful first, and how many there are in all (of which the lists are a part).

    Attributes:
        made: visits that may not belong to their identity.
        open: identities that may be one person.
        made_count: how many of the first kind.
        open_count: how many of the second kind.
    """

    made: tuple[Doubt, ...]
    open: tuple[Doubt, ...]
    made_count: int
    open_count: int


def find_doubts(people: Sequence[Person], certainty: Certainty, *, most: int = MOST) -> Doubts:
    """At most ``most`` of each kind; of a person with two visits, which hang on one link, only the poorer visit."""
    low, high = DOUBTFUL
    chances = probability(certainty.links)
    made, row = [], 0
    for person in people:
        own = chances[row : row + len(person.visits)]
        row += len(person.visits)
        doubtful = [i for i in range(len(own)) if not np.isnan(own[i]) and own[i] < high]
        if len(own) == 2 and doubtful:
            doubtful = [min((0, 1), key=lambda i: person.visits[i].quality)]
        made += [Doubt(person, person, person.visits[i], float(own[i])) for i in doubtful]
    made.sort(key=lambda doubt: doubt.chance)
    still = [Doubt(people[r.a], people[r.b], None, float(probability(r.odds))) for r in certainty.rivals]
    still = [doubt for doubt in still if doubt.chance > low]
    return Doubts(tuple(made[:most]), tuple(still[:most]), len(made), len(still))
