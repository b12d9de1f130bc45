"""Search a tracker's limits on sequences whose truth is known; needs the extra ``tune`` (Optuna).

sequences = [load_sequence("lobby=lobby.mp4", config=config, truth=Path("lobby.txt"), folder=Path("tune"))]
outcome = tune(sequences, config, folder=Path("tune"), objective="HOTA", trials=60)
outcome.config                    # what ``reidpipe run --config`` takes; also in tune/config.yaml
"""

from __future__ import annotations

from reidpipe.tune.outcome import Outcome
from reidpipe.tune.search import tune
from reidpipe.tune.sequences import Sequence, load_sequence, sequence_name
from reidpipe.tune.space import Limit, search_space

__all__ = ["Limit", "Outcome", "Sequence", "load_sequence", "search_space", "sequence_name", "tune"]
