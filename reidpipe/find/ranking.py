"""From one vector to the identities that may be the person, and how likely each is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Scale
from reidpipe.associate.features import remove_bias
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.find.gallery import Candidate, Gallery
from reidpipe.types import Ids, Vectors

__all__ = ["Match", "compare", "rank"]

Wide = NDArray[np.float64]

MOST = 12.0
"""Largest log-odds of one comparison, either way."""

STRANGER_PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class Match:
    """One identity held against the photo.

    Attributes:
        candidate: who.
        similarity: highest cosine between the photo and any vector of the identity, -1..1.
        mean_similarity: cosine to the mean of its vectors.
        probability: that the photo shows this identity, 0..1, see ``rank``.
        row: of the gallery: the vector of the highest cosine.
    """

    candidate: Candidate
    similarity: float
    mean_similarity: float
    probability: float
    row: int = 0


def rank(query: Vectors, gallery: Gallery, *, present: float = 0.5, likeness: Likeness = UNKNOWN) -> list[Match]:
    """All identities of a gallery, the likeliest first.

    The camera's own part is removed from all vectors (the photo counts as a camera of its own), and cosines are brought
    to the common scale by how alike strangers are in this gallery. Each cosine then gives a likelihood ratio of same to
    different person (``likeness.photo``). Those of an identity's vectors are averaged, since the photo shows one of its
    sides: somebody photographed from behind is like those stays where the back was seen, whatever the others are like.
    Bayes' rule weighs all identities against each other and against "nobody of these", which has the prior
    ``1 - present``.

    On single crops of Market-1501 against the mean vectors of the tracks of 200 people in other cameras this order has
    the right person first for 77 in 100, the highest cosine for 71, the cosine to the identity's mean for 73.

    Args:
        query: float32 ``(D,)`` of unit length.
        gallery: at least one identity.
        present: how likely the person is in the gallery at all, before looking, 0..1.
        likeness: what the cosines of the embedder mean.

    Raises:
        ValueError: the vectors are of another length.
    """
    if query.shape != (gallery.dim,):
        raise ValueError(f"the photo's vector has shape {query.shape}, those of the gallery have {gallery.dim} numbers")
    count = len(gallery.people)
    cosines = np.clip(gallery.vectors @ query, -1.0, 1.0).astype(np.float64)
    best = np.full(count, -1.0)
    np.maximum.at(best, gallery.owners, cosines)
    means = np.zeros((count, gallery.dim))
    np.add.at(means, gallery.owners, gallery.vectors.astype(np.float64))
    lengths = np.linalg.norm(means, axis=1)
    mean = np.clip(means @ query / np.where(lengths > 1e-9, lengths, 1.0), -1.0, 1.0)
    chances = _probabilities(query, gallery, present, likeness)
    order = np.lexsort((np.arange(count), -best, -chances))
    rows = np.lexsort((np.arange(len(cosines)), -cosines, gallery.owners))
    nearest = rows[np.searchsorted(gallery.owners[rows], np.arange(count))]
    return [
        Match(_shown(gallery, i, nearest[i]), float(best[i]), float(mean[i]), float(chances[i]), int(nearest[i]))
        for i in order
    ]


def _shown(gallery: Gallery, person: int, row: int) -> Candidate:
    """The candidate with the picture of the stay that is most like the photo, where there is one."""
    who = gallery.people[person]
    picture = gallery.pictures[row] if gallery.pictures else None
    return who if picture is None else replace(who, thumbnail=picture)


def _probabilities(query: Vectors, gallery: Gallery, present: float, likeness: Likeness) -> Wide:
    """One for each identity, ``(people,)``; what is missing to 1 is nobody of these."""
    similarity = compare(query, gallery.vectors, gallery.cameras, likeness)
    odds = np.clip(likeness.photo.slope * (similarity - likeness.photo.even), -MOST, MOST)
    count = len(gallery.people)
    ratio = np.bincount(gallery.owners, np.exp(odds), count) / np.bincount(gallery.owners, minlength=count)
    weight = present / count * ratio
    return np.asarray(weight / (1.0 - present + weight.sum()))


def compare(query: Vectors, vectors: Vectors, cameras: Ids, likeness: Likeness) -> Wide:
    """Cosine of one crop and each vector on the common scale, ``(N,)``.

    Args:
        query: float32 ``(D,)`` of unit length.
        vectors: float32 ``(N, D)`` unit rows, at least one.
        cameras: int64 ``(N,)`` number of the camera of each.
        likeness: of the embedder.
    """
    clean = remove_bias(
        np.concatenate([vectors, query[None]]),
        np.append(cameras, cameras.max() + 1),
        np.ones(len(vectors) + 1),
        centre=likeness.centre,
    )
    scale = Scale.of(_strangers(clean[:-1]), usual=likeness.spread)
    return scale.apply((clean[:-1] @ clean[-1]).astype(np.float64))


def _strangers(vectors: Vectors) -> Wide:
    """Cosines of pairs, nearly all of different people: all pairs, or a fixed random choice of many."""
    n = len(vectors)
    if n * (n - 1) // 2 <= STRANGER_PAIRS:
        one, other = np.triu_indices(n, 1)
    else:
        one, other = np.random.default_rng(0).integers(0, n, size=(2, STRANGER_PAIRS))
        one, other = one[one != other], other[one != other]
    return np.asarray(np.einsum("ij,ij->i", vectors[one], vectors[other]), dtype=np.float64)
