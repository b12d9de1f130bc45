"""What can be done to an MP4 file without decoding it."""

from __future__ import annotations

import struct
from pathlib import Path

import av

from reidpipe.sinks.files import replacing

__all__ = ["cut_to_whole_fragments", "put_index_first"]

_LEADING = frozenset({b"ftyp", b"moov"})


def cut_to_whole_fragments(path: Path) -> int:
    """Cut a fragmented MP4 after its last complete fragment; returns how many fragments are left.

    A fragmented file is a header (``ftyp``, ``moov``) and pairs of boxes (``moof``, ``mdat``), each with its length in
    front (ISO/IEC 14496-12, 4.2). What comes after the last complete pair is the rest of a write that failed.
    """
    size = path.stat().st_size
    end = position = fragments = 0
    header = False
    with path.open("r+b") as file:
        while position + 8 <= size:
            file.seek(position)
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1:
                length = struct.unpack(">Q", file.read(8))[0]
            if length < 8 or position + length > size:
                break
            position += length
            header = header or kind == b"moov"
            if kind == b"mdat":
                fragments += 1
            if kind == b"mdat" or kind in _LEADING:
                end = position
        file.truncate(end)
    return fragments if header else 0


def put_index_first(source: Path, target: Path) -> None:
    """Rewrite a fragmented MP4 as a plain one with its index in front (``faststart``): plays in every browser at once.

    Packets are copied, nothing is encoded. ``target`` appears when all is written, or not at all.

    Raises:
        SinkError, FFmpegError: it cannot be written.
    """
    with replacing(target) as temporary, av.open(str(source)) as reader:
        template = reader.streams.video[0]
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as writer:
            stream = writer.add_stream_from_template(template)
            first: int | None = None
            for packet in reader.demux(template):
                if packet.dts is None:
                    continue
                # Fragments cannot hold times before 0, so all of them are late by the encoder's reordering.
                first = packet.pts if first is None else first
                packet.pts -= first
                packet.dts -= first
                packet.stream = stream
                writer.mux(packet)
