"""A synthetic multi-camera world with exact truth: for samples, tests and benchmarks; needs numpy and OpenCV only.

>>> from reidpipe.synth import World
>>> world = World.make(1, people=8, cameras=2, layout="mixed", duration_s=20)
>>> frame = world.render(world.cameras[0], 3.0)          # .image, .boxes, .ids, .visibility, .world_xy
>>> truth = world.truth(world.cameras[0], 3.0)           # the same without drawing
"""

from reidpipe.synth.camera import Camera, Response
from reidpipe.synth.clip import tiny_clip, truth_lines, write_clip, write_video, write_world
from reidpipe.synth.samples import SampleFile, make_samples, sample_world
from reidpipe.synth.site import Layout
from reidpipe.synth.world import SynthFrame, Truth, World

__all__ = [
    "Camera",
    "Layout",
    "Response",
    "SampleFile",
    "SynthFrame",
    "Truth",
    "World",
    "make_samples",
    "sample_world",
    "tiny_clip",
    "truth_lines",
    "write_clip",
    "write_video",
    "write_world",
]
