"""Find this person: a photo in, the identities that may be that person out."""

from __future__ import annotations

from reidpipe.find.gallery import Candidate, Gallery, Sighting, load_gallery, load_store, with_pictures
from reidpipe.find.photo import Photo, choose_person, open_photo
from reidpipe.find.ranking import Match, rank
from reidpipe.find.sheet import write_sheet

__all__ = [
    "Candidate",
    "Gallery",
    "Match",
    "Photo",
    "Sighting",
    "choose_person",
    "load_gallery",
    "load_store",
    "open_photo",
    "rank",
    "with_pictures",
    "write_sheet",
]
