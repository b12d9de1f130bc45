"""A MOTChallenge truth in which people who come back keep their number.

    python tools/join_truth.py ../shared/data/mot/PETS09-S2L1/gt/gt.txt pets.txt \\
        --same 13,2 14,18,8,15 10,6 11,3 9,5 19,1 12,4
    reidpipe evaluate mot pets.txt out/mot/PETS09-S2L1.txt

The truth of PETS09-S2L1 numbers whoever leaves the picture anew: 19 numbers for 10 people (told by eye from their
clothes and faces; 16, 17 and 7 come once). Scores of identities against it punish knowing people again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path


def joined(lines: Sequence[str], groups: Sequence[Sequence[int]]) -> Iterator[str]:
    """The lines with the first number of each group in the place of the others."""
    first = {str(other): str(group[0]) for group in groups for other in group}
    for line in lines:
        frame, person, *rest = line.split(",")
        yield ",".join([frame, first.get(person.strip(), person), *rest])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path, help="gt.txt")
    parser.add_argument("out", type=Path)
    parser.add_argument("--same", nargs="+", required=True, help="numbers of one person, with commas between them")
    args = parser.parse_args()
    groups = [[int(number) for number in group.split(",")] for group in args.same]
    lines = args.truth.read_text(encoding="utf-8").splitlines()
    args.out.write_text("\n".join(joined(lines, groups)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
