"""A track's crops become one vector: which crops to embed, how much each counts, what is kept of them."""

from reidpipe.pool.pooler import QualityPooler

__all__ = ["QualityPooler"]
