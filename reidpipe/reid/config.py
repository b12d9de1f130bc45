"""The settings of a training run: one pydantic model per part, every field with its unit and range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reidpipe.errors import ConfigError
from reidpipe.reid.datasets import COMBINED
from reidpipe.reid.recipes import read_recipe
from reidpipe.reid.schedule import ScheduleConfig
from reidpipe.reid.transforms import AugmentConfig


class Part(BaseModel):
    """Base of the parts: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(Part):
    """One data set to train on.

    Attributes:
        name: Reader, see `reidpipe.reid.datasets.READERS`.
        path: Root folder, relative to `data.root`.
        part: Part of the set.
        hold_out: Persons kept for validation, the last ones by number.
    """

    name: str
    path: str
    part: str = "train"
    hold_out: int = Field(0, ge=0)


class DataConfig(Part):
    """Where the images are.

    Attributes:
        root: Folder that source paths start from.
        sources: The sets, joined without mixing up their persons.
        cache: Folder for decoded crops and teacher vectors.
        height: Rows of a cached crop.
        width: Columns of a cached crop.
    """

    root: Path
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    cache: Path = Path("runs/reid/cache")
    height: int = Field(192, ge=16, le=512)
    width: int = Field(96, ge=8, le=512)


class BatchConfig(Part):
    """What a batch is made of.

    Attributes:
        sampler: `pk` (identities times images) or `random`.
        identities: P of the PK sampler.
        images: K of the PK sampler; with `random`, P * K is the batch.
        unlabelled: Crops without a person in each PK batch.
    """

    sampler: Literal["pk", "random"] = "pk"
    identities: int = Field(24, ge=1)
    images: int = Field(4, ge=1)
    unlabelled: int = Field(0, ge=0)

    @property
    def size(self) -> int:
        """Images in a batch."""
        return self.identities * self.images + (self.unlabelled if self.sampler == "pk" else 0)


class SoftmaxConfig(Part):
    """Identity classification.

    Attributes:
        weight: Of the loss; 0 switches it off.
        scale: Factor on cosines; null = linear softmax.
        smoothing: Label smoothing.
    """

    weight: float = Field(1.0, ge=0)
    scale: float | None = Field(18.0, gt=0)
    smoothing: float = Field(0.1, ge=0, lt=1)


class TripletConfig(Part):
    """Batch-hard triplets.

    Attributes:
        weight: Of the loss; 0 switches it off.
        margin: In euclidean distance.
    """

    weight: float = Field(0.0, ge=0)
    margin: float = Field(0.3, ge=0)


class DistillConfig(Part):
    """Learning from a teacher.

    Attributes:
        teacher: OpenVINO `.xml`, relative to `data.root`; null switches distillation off.
        feature: Weight of the feature loss.
        relation: Weight of the relational loss.
        temperature: Of the teacher's similarities.
        anchor: Weight of the loss over similarities to anchors; 0 switches it off.
        anchors: Training pictures drawn anew each step, whose teacher vectors serve as anchors.
        anchor_temperature: Of those similarities.
    """

    teacher: Path | None = None
    feature: float = Field(4.0, ge=0)
    relation: float = Field(1.0, ge=0)
    temperature: float = Field(0.08, gt=0)
    anchor: float = Field(0.0, ge=0)
    anchors: int = Field(8192, ge=2)
    anchor_temperature: float = Field(0.05, gt=0)


class MixStyleConfig(Part):
    """MixStyle behind conv2 and conv3.

    Attributes:
        probability: Of mixing a batch; 0 switches it off.
        alpha: Of the Beta distribution.
    """

    probability: float = Field(0.0, ge=0, le=1)
    alpha: float = Field(0.1, gt=0)


class OptimiserConfig(Part):
    """The optimiser.

    Attributes:
        kind: `adamw`, `adam`, `amsgrad` (Adam with that option) or `sgd` (Nesterov momentum).
        rate: Peak learning rate.
        weight_decay: Decoupled for adamw; never on norms and biases.
        momentum: Of SGD, first beta of Adam.
        clip: Limit on the gradient's norm; null = none.
    """

    kind: Literal["adamw", "adam", "amsgrad", "sgd"] = "adamw"
    rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip: float | None = Field(5.0, gt=0)


class StageConfig(Part):
    """A span of the training at one input size.

    Attributes:
        until: Progress (0..1) at which the next stage starts.
        height: Rows of the input.
        width: Columns of the input.
    """

    until: float = Field(1.0, gt=0, le=1)
    height: int = Field(256, ge=32)
    width: int = Field(128, ge=16)


class BudgetConfig(Part):
    """When training ends; progress is the part of the budget that is used, whichever is used up first.

    Attributes:
        images: Training images. The same seed and this alone give the same result.
        seconds: Time spent training, over all resumes. Makes a run depend on the machine's speed.
    """

    images: int | None = Field(None, ge=1)
    seconds: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_is_needed(self) -> Self:
        if self.images is None and self.seconds is None:
            raise ValueError("give budget.images or budget.seconds")
        return self


class TrainConfig(Part):
    """A training run.

    Attributes:
        model: Architecture name or spec file.
        output: Folder for checkpoints and logs.
        data: Training images.
        batch: Composition of a batch.
        augment: Image augmentation.
        softmax: Identity loss.
        triplet: Triplet loss.
        distill: Teacher.
        mixstyle: Mixing of feature statistics.
        optimiser: Optimiser.
        schedule: Learning rate over progress.
        stages: Input sizes over progress, in order; the last runs to the end.
        budget: Length of the training.
        ema: Decay of the averaged model per step; 0 = none.
        precision: `bf16` (autocast) or `fp32`.
        fused: In bf16 on a CPU, train with compiled kernels (:mod:`reidpipe.reid.fused`) where there is a C++ compiler;
            the first row of the log says whether there is.
        replicas: Copies of the model that share a batch, one CPU thread each; on a GPU use 1.
        threads: Threads inside an operation of one copy.
        device: `cpu`, `cuda`, `mps`.
        checkpoint_every_s: Seconds between checkpoints.
        validate_every_s: Seconds between validations on held-out persons.
        seed: Of everything random.
        fixbase: Progress until which only `open_layers` train.
        open_layers: Top-level layers that train during `fixbase`.
        init: Checkpoint to start from (its backbone; the heads are fitted to it); null = from scratch.
    """

    model: str = "osnet_x0_25"
    output: Path
    data: DataConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    softmax: SoftmaxConfig = SoftmaxConfig()
    triplet: TripletConfig = TripletConfig()
    distill: DistillConfig = DistillConfig()
    mixstyle: MixStyleConfig = MixStyleConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    stages: tuple[StageConfig, ...] = Field((StageConfig(),), min_length=1)
    budget: BudgetConfig
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["bf16", "fp32"] = "bf16"
    fused: bool = True
    replicas: int = Field(1, ge=1, le=64)
    threads: int = Field(1, ge=1)
    device: str = "cpu"
    checkpoint_every_s: float = Field(180.0, gt=0)
    validate_every_s: float = Field(600.0, gt=0)
    seed: int = 0
    fixbase: float = Field(0.0, ge=0, lt=1)
    open_layers: tuple[str, ...] = ("fc",)
    init: Path | None = None

    @model_validator(mode="after")
    def _stages_run_to_the_end(self) -> Self:
        ends = [stage.until for stage in self.stages]
        if ends != sorted(ends) or ends[-1] != 1.0:
            raise ValueError("stages need rising 'until' values that end at 1.0")
        return self


def load_train_config(path: Path, *, overrides: Sequence[str] = (), sources: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe (YAML); see :func:`reidpipe.reid.recipes.read_recipe` for the arguments.

    Raises:
        ConfigError: The file is not there, is no YAML, or has a wrong key or value.
    """
    return parse_train_config(read_recipe(path, overrides=overrides, sources=sources))


def combine_all(config: TrainConfig) -> TrainConfig:
    """The recipe with the train and the test people of every set that has both (`part: combineall`)."""
    sources = tuple(
        source.model_copy(update={"part": "combineall"}) if source.name in COMBINED else source
        for source in config.data.sources
    )
    return config.model_copy(update={"data": config.data.model_copy(update={"sources": sources})})


def parse_train_config(content: object) -> TrainConfig:
    """Check a recipe that was read already.

    Raises:
        ConfigError: Naming every wrong key with its reason, in one line.
    """
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"recipe: {wrong_keys(error)}") from error


def wrong_keys(error: ValidationError) -> str:
    """Every wrong key with its reason, in one line."""
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}" for item in error.errors())
