"""The models that are served: watch their folder, obey a reload request, find the one a request is for."""

import gc
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tensorflow_serving.apis import model_pb2

from trainer.serve.config import read_file
from trainer.serve.errors import ServeError, StatusError
from trainer.serve.loading import Load, Open, all_left, load_or_refuse, load_wanted, merged
from trainer.serve.predict import LoadedModel
from trainer.serve.snapshot import Labels, Snapshot, Versions
from trainer.serve.versions import ModelFolder, State, Version, version_folders

logger = logging.getLogger("trainer.serve")


class Models:
    """The models of a folder MODELS/NAME/VERSION, or those that a config file or a reload request names.

    Requests read the current snapshot; one change at a time makes the next one.
    """

    def __init__(self, folder: Path, config_file: Path | None = None, open_model: Open = LoadedModel.load):
        #: looked through for new models until a reload request names them all
        self._folder: Path | None = None if config_file else folder
        #: read again when it changes
        self._config_file = config_file
        self._config_time = 0
        self._open_model = open_model
        self._configs: dict[str, ModelFolder] = {}
        self._snapshot = Snapshot()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        #: the last trouble with each path, so that it is told once and not at every look
        self._told: dict[Path | None, str] = {}

    def start(self, poll_seconds: float) -> None:
        """Load what the folder holds or the config file names, then look again every `poll_seconds`.

        Raises ServeError when nothing loads or the file cannot be followed.
        """
        if self._config_file:
            self._follow(self._config_file)
        else:
            self._open(self._folder)
        if not self.served():
            raise ServeError(f"{self._config_file} names no model: put one in it with shelver-trainer publish --label")
        self._watcher = threading.Thread(target=self._watch, args=(poll_seconds,), name="watch-models", daemon=True)
        self._watcher.start()

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Stop watching and free every model; a Predict call still under way is cancelled."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(patience_seconds)
        for model in self._snapshot.alive():
            model.close()

    def find(self, spec: model_pb2.ModelSpec) -> LoadedModel:
        """Return the version a request is for; see Snapshot.find."""
        return self._snapshot.find(spec)

    def status(self, spec: model_pb2.ModelSpec) -> list[Version]:
        """Return what became of the versions of a model; see Snapshot.status."""
        return self._snapshot.status(spec)

    def served(self) -> list[LoadedModel]:
        """Return every version that is served, by model name and number."""
        return self._snapshot.served()

    def refresh(self) -> None:
        """Look at the folders once: load what is new and wanted, then let go of what it replaces."""
        with self._changing:
            if self._folder is not None:
                self._discover(self._folder)
            for config in self._configs.values():
                self._refresh(config)

    def reload(self, configs: Iterable[ModelFolder], labels: Labels) -> None:
        """Serve these models, under these labels, and no others; return when they are loaded.

        Labels move first, as in TensorFlow Serving, so FAILED_PRECONDITION is raised for one that points to a version
        that is not served yet, whether or not these models bring it. A server that follows a config file takes that
        from a label that is new, which names nothing until the version is loaded, as with
        --allow_version_labels_for_unavailable_models; never from one that moves.

        All or nothing: on a StatusError everything is as before. INVALID_ARGUMENT when a folder cannot be read,
        NOT_FOUND when one holds no version to serve, UNKNOWN when none of a model's versions loads.
        """
        with self._changing:
            before = self._snapshot
            before.check(labels, new_may_wait=self._config_file is not None)
            wanted = {config.name: config for config in configs}
            try:
                self._snapshot = replace(before, labels=labels)
                models = {name: self._changed(config, load_or_refuse) for name, config in wanted.items()}
                dropped = {name: all_left(versions) for name, versions in before.models.items() if name not in wanted}
            except BaseException:
                self._snapshot = before
                raise
            self._folder, self._configs = None, wanted
            self._publish(Snapshot({**dropped, **models}, labels))

    def _open(self, folder: Path | None) -> None:
        if folder is None or not folder.is_dir():
            raise ServeError(f"{folder} is no folder: publish a model into it first, with shelver-trainer publish")
        self.refresh()
        if not self._configs:
            raise ServeError(
                f"{folder} holds no model: publish one with shelver-trainer publish, as NAME/VERSION in it"
            )
        if not self.served():
            raise ServeError(f"no model in {folder} can be loaded, publish a sound version: {self._snapshot.faults()}")

    def _follow(self, path: Path) -> None:
        """Serve what the config file names, if it has changed since; a ServeError leaves everything as it is."""
        try:
            changed = path.stat().st_mtime_ns
            if changed != self._config_time:
                self.reload(*read_file(path))
                self._config_time = changed
                self._told.pop(path, None)
        except (OSError, StatusError) as error:
            raise ServeError(f"{path} cannot be followed: {error}") from error

    def _watch(self, poll_seconds: float) -> None:
        while not self._stopping.wait(poll_seconds):
            try:
                self.refresh()
                if self._config_file:  # last: a broken file must not stop the look at the folders
                    self._follow(self._config_file)
            except ServeError as error:
                self._tell(self._config_file, str(error), "what is served stays")
            except Exception:
                logger.exception("the models could not be looked through; what is served stays")
            if self._snapshot.has(State.UNLOADING):
                gc.collect()  # the error of a failed request can hold its model in a cycle of traceback and frame

    def _discover(self, folder: Path) -> None:
        """Add a model for each new folder that has a version in it."""
        with self._telling(folder, "new models in it are not seen"):
            for child in sorted(folder.iterdir()):
                if child.name in self._configs or child.name.startswith(".") or not child.is_dir():
                    continue
                with self._telling(child, "it is not served"):
                    if version_folders(child):
                        self._configs[child.name] = ModelFolder(child.name, child)

    def _refresh(self, config: ModelFolder) -> None:
        # As TensorFlow Serving: a folder that is gone changes nothing, one that is there but empty unloads all.
        with self._telling(config.folder, f"{config.name} stays as it is"):
            self._publish(self._snapshot.with_model(config.name, self._changed(config, load_wanted)))

    def _changed(self, config: ModelFolder, load: Load) -> Versions:
        before = self._snapshot.models.get(config.name, {})
        return merged(before, load(config, before, partial(self._announce, config.name), self._open_model))

    def _announce(self, name: str, version: Version) -> None:
        versions = {**self._snapshot.models.get(name, {}), version.number: version}
        self._snapshot = self._snapshot.with_model(name, versions)

    def _publish(self, snapshot: Snapshot) -> None:
        before = {(model.name, model.version) for model in self.served()}
        self._snapshot = snapshot
        after = {(model.name, model.version) for model in snapshot.served()}
        for name, number in sorted(after - before):
            logger.info("%s %d is served", name, number)
        for name, number in sorted(before - after):
            logger.info("%s %d is served no more", name, number)

    @contextmanager
    def _telling(self, folder: Path, consequence: str) -> Iterator[None]:
        """Log a folder that cannot be read, once until it can be."""
        try:
            yield
        except OSError as error:
            self._tell(folder, f"{folder} cannot be read ({error.strerror})", consequence)
        else:
            self._told.pop(folder, None)

    def _tell(self, path: Path | None, trouble: str, consequence: str) -> None:
        if self._told.get(path) != trouble:
            logger.warning("%s: %s", trouble, consequence)
        self._told[path] = trouble
