"""An experiment: what is trained on what, and how. One Python file each, whose docstring says command, time and result.

A config file sets `CONFIG = Config(...)`; those of trainer/configs/ are known by name.
"""

import difflib
import json
import runpy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.prepare.selection import Recipe
from worker.contract.errors import ShelverError


class ConfigError(ShelverError):
    """The config cannot be used; the message names every field at fault."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmentation(_Model):
    """How a picture is changed each time it is trained on; drawn anew from the seed and the step."""

    flip: bool = Field(False, description="mirror every other picture")
    rotation_degrees: float = Field(0, ge=0, le=180, description="turn by up to so much, either way")
    shear: float = Field(0, ge=0, lt=1, description="slant by up to so much of the height, either way")
    zoom: float = Field(0, ge=0, lt=1, description="enlarge or shrink by up to this share")
    colour: float = Field(0, ge=0, lt=1, description="change brightness, contrast and saturation by up to this share")


class Phase(_Model):
    """A stretch of training: what is trained, for how long, how fast."""

    epochs: int = Field(ge=1, description="passes over the training pictures")
    learning_rate: float = Field(gt=0, description="at its highest: reached after the warm-up, then a cosine to 0")
    train: Literal["head", "all"] | int = Field(
        "all", description="the head alone, everything, or the head and so many layers of the backbone"
    )
    warm_up_epochs: float = Field(0, ge=0, description="from 0 to the learning rate in a line")
    cached: bool = Field(
        False, description="head alone: the backbone sees each picture and its mirror image once; kept on disk"
    )
    schedule: Literal["cosine", "constant"] = "cosine"

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        if self.cached and self.train != "head":
            raise ValueError('cached is for train="head": what is trained changes the features')
        if self.warm_up_epochs and self.schedule == "constant":
            raise ValueError("warm_up_epochs is for the cosine schedule")
        return self


class Config(_Model):
    """Everything about an experiment but where its data and its run are."""

    data: Recipe = Field(Recipe(), description="what `prepare --config` makes for it")
    backbone: str = Field(description="a name in trainer/backbones/build.py")
    weights: str = Field("imagenet", description="imagenet, none, or a file of weights")
    picture_side: int = Field(180, ge=32, le=1024, description="pixels a side, as pictures are decoded and served")
    network_side: int | None = Field(None, ge=32, le=1024, description="pixels a side of the network, if another")
    train_statistics: bool = Field(
        False, description="let batch normalisation follow the batches; else it keeps the weights' own averages"
    )
    normalise_features: bool = Field(False, description="batch normalisation between backbone and head")
    dropout: float = Field(0, ge=0, lt=1, description="of the features")
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(0, ge=0, lt=1)
    class_weights: float | None = Field(
        None, ge=1, description="weigh rare classes up to this many times the mean, common ones down to its inverse"
    )
    optimiser: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    epsilon: float = Field(1e-7, gt=0, description="of Adam and its kin")
    weight_decay: float = Field(0, ge=0)
    batch: int = Field(64, ge=1, description="pictures a step, over all devices together")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    phases: tuple[Phase, ...] = Field(min_length=1)
    patience: int | None = Field(None, ge=1, description="epochs without a better validation score before a phase ends")
    seed: int = Field(1, ge=0, lt=2**31, description="decides weights, order, augmentation and dropout")


@dataclass(frozen=True)
class Named:
    """A config with where it comes from."""

    name: str
    #: the file's docstring: command, time, result
    description: str
    config: Config


def names() -> list[str]:
    """Return the names of the configs that come with Shelver."""
    return sorted(each.name.removesuffix(".py") for each in _home().iterdir() if each.name[0] not in "_.")


def load(name: str, changes: Iterable[str] = (), **fields: Any) -> Named:
    """Return a config by name or file, with `FIELD=VALUE` changes (phases.0.epochs=5) and whole fields.

    Raises ConfigError that names every field which is misspelt or wrong.
    """
    path = Path(str(_home() / f"{name}.py")) if name in names() else Path(name)
    if not path.is_file():
        raise ConfigError(f"{name} is neither a file nor one of {', '.join(names())}")
    try:
        module = runpy.run_path(str(path))
        config = module["CONFIG"]
        if not isinstance(config, Config):
            raise ConfigError(f"{path}: CONFIG is a {type(config).__name__}, not a trainer.config.Config")
        values = config.model_dump()
        for change in changes:
            _apply(values, change)
        return Named(path.stem, (module["__doc__"] or "").strip(), Config.model_validate({**values, **fields}))
    except ValidationError as error:
        raise ConfigError(f"{path} has fields to mend:\n  " + "\n  ".join(_told(error))) from error
    except KeyError as error:
        raise ConfigError(f"{path} sets no CONFIG = Config(...): see shelver-trainer configs") from error
    except (SyntaxError, NameError, TypeError, ImportError, AttributeError) as error:
        raise ConfigError(f"{path} is no config: {error}") from error


def _home() -> Any:
    return files("trainer") / "configs"


def _apply(values: dict[str, Any], change: str) -> None:
    """Set one field of a dumped config, phases.0.epochs=5 for one within another."""
    path, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"{change!r} is no FIELD=VALUE")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *parents, last = path.split(".")
    place: Any = values
    try:
        for each in parents:
            place = place[int(each)] if each.isdecimal() else place[each]
        place[last] = value
    except (KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"{path} is no field of a config") from error


def _told(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        place = ".".join(path)
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(path[-1], sorted(_fields()), n=1)
            yield f"{place} is no field" + (f": did you mean {near[0]}?" if near else "")
        elif problem["type"] == "missing":
            yield f"{place} is missing"
        elif problem["type"] == "value_error":
            yield (f"{place}: " if place else "") + problem["msg"].removeprefix("Value error, ")
        else:
            yield f"{place} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields() -> set[str]:
    return {field for model in (Config, Phase, Augmentation, Recipe) for field in model.model_fields}
