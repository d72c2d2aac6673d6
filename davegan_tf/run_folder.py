"""The folder of one training run: what lies where, and who may write to it.

``runs/<name>/`` holds ``config.yaml`` (fully resolved), ``manifest.json`` (what made the run: package versions,
seed, data, machine, wall time), ``history.csv`` (one row per chunk of steps), ``checkpoints/``,
``model.weights.h5`` (the finished model; in a packaged one ``weights.npz``), ``evaluation.json``, ``report.html`` and
``figures/``. What else lies there is the user's. No TensorFlow is imported here.
"""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from davegan_tf.config import dump_config, load_config
from davegan_tf.errors import InputError
from davegan_tf.files import write_text

# A run may be continued with other values of these: they don't change what a step computes (training.epochs may, where
# learning rates fall: ``training`` sees to that).
FREE_TO_CHANGE = (
    "name",
    "data.pixel_size",
    "data.unit",
    "data.offline_fallback",
    "training.epochs",
    "training.images_every",
    "training.evaluate_every",
    "training.checkpoint_every",
    "training.checkpoints_kept",
)
# What `train`, `evaluate`, `study` and `reproduce models` write, and what a new run replaces.
WRITTEN = (
    "config.yaml",
    "history.csv",
    "checkpoints",
    "model.weights.h5",
    "weights.npz",
    "evaluation.json",
    "evaluation_holdout.json",
    "report.html",
    "report_holdout.html",
    "study.json",
    "figures",
)
# Without these the files are of something else, or damaged.
MANIFEST_KEYS = ("data.name", "data.digest", "data.n_phases", "data.shape", "data.stands_in_for")
STUDY_KEYS = ("step", "seed")
EVALUATION_KEYS = ("step", "seed", "filter", "holdout", "counts.samples", "verdict.measures")


class RunFolder:
    """Paths and small files of a run.

    Parameters
    ----------
    path : str or Path
        The folder; it need not exist yet.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.manifest = self.path / "manifest.json"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.weights = self.path / "model.weights.h5"
        self.compact_weights = self.path / "weights.npz"
        self.evaluation = self.path / "evaluation.json"
        self.study = self.path / "study.json"
        self.figures = self.path / "figures"

    @property
    def name(self):
        """The folder's own name, also that of its TensorBoard log."""
        return self.path.resolve().name

    @property
    def holds_a_run(self):
        """Whether a run was begun here."""
        return self.config.is_file() and self.manifest.is_file()

    def require(self):
        """Raise InputError unless this is the folder of a run."""
        if not self.path.exists():
            raise InputError(
                f"{self.path}: there is no such run folder; name the folder that `train` wrote,"
                " for example runs/alloy."
            )
        for file in (self.config, self.manifest):
            if not file.is_file():
                raise InputError(
                    f"{self.path}: not a run folder, it has no {file.name}; name the folder that"
                    " `train` wrote, for example runs/alloy."
                )
        return self

    def read_config(self):
        """The run's resolved configuration."""
        return load_config(str(self.require().config))

    def read_manifest(self):
        """The manifest as a dictionary; InputError if it is damaged."""
        return _read_record(self.require().manifest, MANIFEST_KEYS, "restore it or train again")

    def read_evaluation(self):
        """What `evaluate` wrote, as a dictionary; None if it was not run, InputError if it is damaged."""
        return _read_measured(self.evaluation, EVALUATION_KEYS, "evaluate")

    def read_study(self):
        """The same of `study`."""
        return _read_measured(self.study, STUDY_KEYS, "study")

    def write_manifest(self, **entries):
        """Add or replace entries of the manifest."""
        known = json.loads(self.manifest.read_text("utf-8")) if self.manifest.is_file() else {}
        write_text(self.manifest, json.dumps({**known, **entries}, indent=2) + "\n")

    @property
    def material(self):
        """What it was trained on, for messages and titles; a stand-in is named as one."""
        data = self.read_manifest()["data"]
        stand_in = data["stands_in_for"]
        return data["name"] + (f" in place of {stand_in}" if stand_in else "")

    @property
    def n_phases(self):
        """Of what it was trained on."""
        return self.read_manifest()["data"]["n_phases"]

    def describe(self):
        """One phrase for messages: the run and its data."""
        return f"{self.path} ({self.material})"

    def check_free(self, *, overwrite=False):
        """Raise InputError if a new run can't start here.

        Parameters
        ----------
        overwrite : bool
            Whether a run that is here may be replaced.
        """
        if self.path.is_file():
            raise InputError(
                f"{self.path}: is a file, expected a folder; choose another --run-dir."
            )
        if not self.path.is_dir() or not self._entries() or self._hardly_begun():
            return
        # --overwrite shall not clear a folder that merely has a config.yaml.
        if not self.holds_a_run:
            raise InputError(
                f"{self.path}: the folder holds something that is no run; choose another --run-dir."
            )
        if not overwrite:
            raise InputError(
                f"{self.path}: holds a run already; continue it with --resume, replace it with"
                " --overwrite, or choose another --run-dir."
            )

    def _entries(self):
        """What lies here, but for hidden files: the lock, and what a process that was killed was writing."""
        return [entry for entry in self.path.iterdir() if not entry.name.startswith(".")]

    def _hardly_begun(self):
        """Whether `create` was killed in the middle: nothing of a run is here but the manifest."""
        if not self.manifest.is_file() or any(entry.name in WRITTEN for entry in self._entries()):
            return False
        try:
            _read_record(self.manifest, MANIFEST_KEYS, "")
        except InputError:
            return False
        return True

    def check_log(self, log, advice="or choose another name or --run-dir"):
        """Raise InputError if a new run here would replace another's log in TensorBoard's folder, or add to it.

        Parameters
        ----------
        log : Path
            What this run would write to.
        advice : str
            How else than by removing the other log it can be kept apart: a clause that begins with "or".
        """
        # TensorBoard knows runs by their names alone.
        if not self.holds_a_run and any(log.glob("events.out.tfevents.*")):
            raise InputError(
                f"{log}: is the log of another run, or of one that is gone; remove it, {advice}."
            )

    def create(self, config, manifest, *, overwrite=False, log=None):
        """Start a new run here; raises as :meth:`check_free` and :meth:`check_log` do.

        Of a run that is replaced everything goes that commands wrote, and nothing else. Whenever it is killed, what is
        left is a run, or of one nothing but a manifest, which the next one may replace.

        Parameters
        ----------
        config : davegan_tf.config.Config
        manifest : dict
            JSON-ready.
        overwrite : bool
        log : Path, optional
            TensorBoard's folder of this run, which is emptied of the run that is replaced.
        """
        self.check_free(overwrite=overwrite)
        if log is not None:
            self.check_log(Path(log))
            if self.holds_a_run:
                _clear_log(Path(log))
        # Without its config it is no run: this goes last.
        for entry in [self.path / name for name in reversed(WRITTEN)]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        write_text(self.manifest, json.dumps(manifest, indent=2) + "\n")
        write_text(self.config, dump_config(config))

    def check_data(self, micrograph):
        """Raise InputError if ``micrograph`` is not what this run was trained on."""
        known = self.read_manifest()["data"]
        if known["digest"] != micrograph.digest:
            raise InputError(
                f"{self.path}: was trained on other data ({known['name']}, {known['origin']}) than"
                f" {micrograph.name} ({micrograph.origin}) as it is now; restore the data, or train"
                " anew in another --run-dir."
            )

    def load_micrograph(self, config=None):
        """What this run was trained on: a :class:`davegan_tf.micrographs.Micrograph`.

        Parameters
        ----------
        config : davegan_tf.config.Config, optional
            By which it is read; by default the run's own.

        Raises
        ------
        InputError
            If it is not at hand, or is another one now.
        """
        # Not at the top: those who look for a run need neither scipy nor readers of images.
        from davegan_tf.micrographs import load_from_config

        config = self.read_config() if config is None else config
        known = self.read_manifest()["data"]
        # Nothing stands in for it now, and what stood in then is always at hand.
        changes = {"offline_fallback": None}
        if known["stands_in_for"]:
            changes |= {"source": known["name"], "threshold": None, "phases": None}
        data = config.data.model_copy(update=changes)
        micrograph = load_from_config(config.model_copy(update={"data": data}))
        self.check_data(micrograph)
        return dataclasses.replace(micrograph, fallback_for=known["stands_in_for"])

    def check_same(self, config, option="--run-dir"):
        """Raise InputError if ``config`` would compute other steps than the run's own configuration.

        Parameters
        ----------
        config : davegan_tf.config.Config
        option : str
            Of the command line, by which another folder is named.
        """
        differing = [
            f"{key} (run: {mine!r}, now: {theirs!r})"
            for key, mine, theirs in self.differences(config, FREE_TO_CHANGE)
        ]
        if differing:
            raise InputError(
                f"{self.path}: belongs to another configuration, it differs in {', '.join(differing)};"
                f" resume without these changes, or choose another {option}."
            )

    def differences(self, config, but):
        """Key, the run's value and that of ``config``, wherever they differ; the keys ``but`` aside."""
        mine = dict(_flat(self.read_config().model_dump()))
        theirs = dict(_flat(config.model_dump()))
        return [
            (key, mine[key], theirs[key])
            for key in mine
            if mine[key] != theirs[key] and key not in but
        ]

    @contextlib.contextmanager
    def lock(self):
        """Keep a second training out of this folder while the block runs.

        Raises
        ------
        InputError
            If another process is training here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"{self.path}: another process is training in this run folder; wait for it or"
                " choose another --run-dir."
            ) from None
        try:
            yield
        finally:
            lock.release()


def _clear_log(log):
    """Remove the events of the run that is replaced, and its `embed`: TensorBoard would show them as the new one's."""
    for events in log.glob("events.out.tfevents.*"):
        events.unlink()
    if (log / "projector" / "projector_config.pbtxt").is_file():
        shutil.rmtree(log / "projector")


def _read_measured(path, keys, command):
    advice = f"remove it, or measure again with `{command}`"
    return _read_record(path, keys, advice) if path.is_file() else None


def _read_record(path, keys, advice):
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # also of bytes that are no text
        raise InputError(f"{path}: not readable as JSON ({error}); {advice}.") from None
    known = dict(_flat(record)) if isinstance(record, dict) else {}
    missing = [key for key in keys if key not in known]
    if missing:
        raise InputError(f"{path}: {', '.join(missing)} missing; {advice}.")
    return record


def _flat(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
