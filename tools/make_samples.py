"""Makes the two sample clips and their truth: ``python tools/make_samples.py [FOLDER]`` (default ``samples``)."""

from __future__ import annotations

import argparse
from pathlib import Path

from reidpipe.synth.samples import make_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[1] / "samples")
    for file in make_samples(parser.parse_args().folder):
        print(f"{file.sha256}  {file.size:9,d} bytes  {file.path}")


if __name__ == "__main__":
    main()
