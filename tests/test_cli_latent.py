"""`traverse`, `interpolate` and `embed` through the real command line, on tiny runs, and their refusals."""

import json
import re
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from test_projector import ask

from cli.main import main
from davegan_tf import descriptors, latent, latent_figures, packaged, tensorflow_setup
from davegan_tf.building import load_model
from davegan_tf.checkpoints import save_compact_weights
from davegan_tf.dataset import cut, decode_phases, encode_phases
from davegan_tf.inference import generate_labels, reconstruct_labels
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import RunFolder

NAMES = ["grains", "three_phases", "ellipses"]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def model_of(trained):
    return load_model(RunFolder(trained.run))[0]


def tiles_of(trained, places):
    config = RunFolder(trained.run).read_config()
    images = load_from_config(config).images
    return cut(images, np.array(places), config.data.image_size)


@pytest.fixture
def at_home(request, monkeypatch):
    """``at_home(name)``: a tiny run by its name, in its working directory, where its data are found."""

    def choose(name):
        trained = request.getfixturevalue(name)
        monkeypatch.chdir(trained.home)
        return trained

    return choose


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures are given: {name of the function: arguments}."""
    calls = {}

    def spy(name):
        function = getattr(latent_figures, name)
        monkeypatch.setattr(
            latent_figures, name, lambda *args: calls.update({name: args}) or function(*args)
        )

    for name in ("traversal_picture", "traversal_animation", "interpolation_picture"):
        spy(name)
    return calls


# traverse


@pytest.mark.parametrize("name", NAMES)
def test_traverse(name, at_home, tmp_path, capsys, drawn):
    trained = at_home(name)
    out = tmp_path / "new" / "plot.png"
    assert run("traverse", trained.run, "--out", out) == 0
    said = capsys.readouterr().out
    model = model_of(trained)
    dims = [int(number) for number in re.findall(r"(\d+) \(", said.splitlines()[1])]
    n_phases = 3 if name == "three_phases" else 2
    samples = encode_phases(generate_labels(model, 256, 0), n_phases)
    assert dims == latent.order_of_dimensions(model, samples)[:8].tolist()
    assert len(dims) == (5 if name == "ellipses" else 8)
    assert "start: seed 0" in said
    assert f"wrote {out} and {out.with_suffix('.gif')}" in said
    assert sorted(path.name for path in out.parent.iterdir()) == ["plot.gif", "plot.png"]
    assert iio.imread(out).ndim == 3
    with Image.open(out.with_suffix(".gif")) as gif:
        # Frames that are alike are one, for longer.
        assert gif.n_frames <= 48 and gif.info["loop"] == 0
    _, images, values, rows, starts, title = drawn["traversal_picture"]
    expected = latent.traverse(model, latent.z_of_seed(model, 0), dims)
    np.testing.assert_array_equal(images, latent_figures.shown(expected))
    np.testing.assert_array_equal(values, np.arange(-3, 4))
    assert [row.split(",")[0] for row in rows] == [f"z {i}" for i in dims]
    ((caption, start),) = starts
    assert caption == "decoded from z of seed 0"
    np.testing.assert_array_equal(
        start >= 128 if n_phases == 2 else start // 127, generate_labels(model, 1, 0)[0]
    )
    assert title.startswith(f"{trained.run.name} (") and str(trained.home) not in title
    _, moving, moving_values, names = drawn["traversal_animation"]
    np.testing.assert_array_equal(moving[:, [0, 12, 24]], images[:, [0, 3, 6]])
    assert (moving_values[0], moving_values[-1]) == (-3, 3)
    assert names == [f"z {i}" for i in dims]


def test_traverse_as_asked(grains, tmp_path, capsys, drawn):
    arguments = ("--dims", "7,0,7", "--range", 1.5, "--steps", 4, "--seed", 9)
    assert run("traverse", grains.run, *arguments, "--out", tmp_path / "a.png") == 0
    model = model_of(grains)
    _, images, values, rows, *_ = drawn["traversal_picture"]
    z = latent.z_of_seed(model, 9)
    expected = latent.traverse(model, z, [7, 0], 1.5, 4)
    np.testing.assert_array_equal(images, latent_figures.shown(expected))
    np.testing.assert_allclose(values, [-1.5, -0.5, 0.5, 1.5])
    assert rows[0].endswith(f"starts at {latent_figures.signed(z[7])}")


@pytest.mark.parametrize("name", NAMES)
def test_traverse_from_a_tile(name, at_home, tmp_path, drawn):
    trained = at_home(name)
    out = tmp_path / "a.png"
    assert run("traverse", trained.run, "--tile", 3, "--dims", "1,0", "--out", out) == 0
    place = {"grains": (0, 64, 64), "three_phases": (0, 64, 0), "ellipses": (3, 0, 0)}[name]
    n_phases = 3 if name == "three_phases" else 2
    (tile,) = tiles_of(trained, [place])
    (_, original), (_, decoded) = drawn["traversal_picture"][4]
    np.testing.assert_array_equal(original // (127 if n_phases == 3 else 255), tile)
    model = model_of(trained)
    z = latent.z_of_image(model, encode_phases(tile, n_phases))
    np.testing.assert_array_equal(decoded, latent_figures.shown(latent.decode(model, z[None]))[0])
    assert drawn["traversal_picture"][3][0].endswith(
        latent_figures.signed(z[int(drawn["traversal_animation"][3][0][2:])])
    )


def test_an_image_is_what_its_upper_left_corner_is(grains, tmp_path, capsys, drawn, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tile,) = tiles_of(grains, [(0, 0, 0)])
    np.save("tile.npy", tile)
    grey = np.zeros((70, 90), np.uint8)
    grey[:64, :64] = 100 * tile + np.arange(64)
    iio.imwrite("grey.png", grey)
    pictures = []
    for start in (
        ("--image", "tile.npy"),
        ("--image", "grains"),
        ("--image", "grey.png", "--threshold", "99"),
        ("--tile", 0),
    ):
        assert run("traverse", grains.run, *start, "--dims", 0, "--steps", 2, "--out", "a.png") == 0
        pictures.append(drawn["traversal_picture"][1])
        assert len(drawn["traversal_picture"][4]) == 2
    assert "start: tile 0 of grains" in capsys.readouterr().out
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])


# interpolate


@pytest.mark.parametrize("name", NAMES)
def test_interpolate(name, at_home, tmp_path, capsys, drawn):
    trained = at_home(name)
    n_phases = 3 if name == "three_phases" else 2
    out = tmp_path / "new" / "way.png"
    assert run("interpolate", trained.run, "tile:1", 5, "--steps", 4, "--out", out) == 0
    said = capsys.readouterr().out
    assert "A: tile 1 of" in said and "B: seed 5" in said
    assert f"wrote {out} and {out.with_suffix('.json')}" in said
    assert sorted(path.name for path in out.parent.iterdir()) == ["way.json", "way.png"]
    model = model_of(trained)
    (tile,) = tiles_of(trained, [(1, 0, 0) if name == "ellipses" else (0, 0, 64)])
    ends = np.stack(
        [reconstruct_labels(model, tile[None], n_phases)[0], generate_labels(model, 1, 5)[0]]
    )
    z = latent.z_of_image(model, encode_phases(tile, n_phases)), latent.z_of_seed(model, 5)
    images = latent.interpolate(model, *z, steps=4)
    result = json.loads(out.with_suffix(".json").read_text())
    assert result["share_of_the_way"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert result["start"].startswith("tile 1 of") and result["end"] == "seed 5"
    assert result["run"] == trained.run.name
    labels = decode_phases(images)
    assert result["straight_in_z"] == latent.statistics_along(labels, n_phases)
    faded = decode_phases(latent.straight_line(images[0], images[-1], 4))
    assert result["pixels_faded"] == latent.statistics_along(faded, n_phases)
    for way in ("straight_in_z", "pixels_faded"):
        np.testing.assert_allclose(
            np.array(result[way]["interface_density"])[[0, -1]],
            descriptors.interface_density(ends),
        )
        for phase, values in result[way]["volume_fraction"].items():
            expected = (ends == int(phase)).mean(axis=(1, 2))
            np.testing.assert_allclose([values[0], values[-1]], expected)
            assert result[way]["s2_error_to_start"][phase][0] == 0
            assert result[way]["s2_error_to_end"][phase][-1] == 0
    _, rows, statistics, shown_ends, title = drawn["interpolation_picture"]
    np.testing.assert_array_equal(rows["straight in z"], latent_figures.shown(images))
    assert list(statistics) == ["straight in z", "pixels faded"]
    np.testing.assert_array_equal(shown_ends[0][1] // (127 if n_phases == 3 else 255), tile)
    assert shown_ends[1][1] is None
    assert str(trained.home) not in title


def test_interpolate_between_images_and_seeds_of_every_spelling(grains, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiles = tiles_of(grains, [(0, 0, 0), (0, 64, 0)])
    np.save("a.npy", tiles[0])
    np.save("2", tiles[1])
    (tmp_path / "2.npy").rename("2")
    iio.imwrite("b.png", tiles[1] * 255)
    results = []
    for a, b in (("tile:0", "tile:2"), ("a.npy", "b.png"), ("grains", "./b.png"), ("tile:0", "2")):
        assert run("interpolate", grains.run, a, b, "--steps", 3, "--out", "x.png") == 0
        results.append(json.loads((tmp_path / "x.json").read_text())["straight_in_z"])
    assert results[0] == results[1] == results[2]
    # A whole number is a seed, even where a file has that name.
    assert results[3] != results[0]


# embed


def rows_of(folder):
    lines = (folder / "metadata.tsv").read_text().splitlines()
    return lines[0].split("\t"), [line.split("\t") for line in lines[1:]]


@pytest.mark.parametrize("name", NAMES)
def test_embed(name, request, tmp_path, monkeypatch, capsys):
    trained = request.getfixturevalue(name)
    n_phases = 3 if name == "three_phases" else 2
    shutil.copytree(trained.home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    assert run("embed", trained.run.relative_to(trained.home), "--count", 50) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "copy" / "tb_logs" / trained.run.name / "projector"
    tiles = {"grains": 4, "three_phases": 6, "ellipses": 50}[name]
    assert f"{tiles} tiles and {50 - tiles} crops" in said
    assert f"wrote {folder.relative_to(tmp_path / 'copy')}\n" in said
    assert "tensorboard --logdir tb_logs, then" in said
    run_name = f"{trained.run.name}/projector"
    logs = tmp_path / "copy" / "tb_logs"
    assert json.loads(ask(logs, "runs")) == [run_name]
    (embedding,) = json.loads(ask(logs, "info", run=run_name))["embeddings"]
    latent_dim = 5 if name == "ellipses" else 32
    assert embedding["tensorShape"] == [50, latent_dim]
    header, rows = rows_of(folder)
    assert [row[header.index("kind")] for row in rows] == ["tile"] * tiles + ["crop"] * (50 - tiles)
    places = [[int(row[header.index(key)]) for key in ("image", "row", "column")] for row in rows]
    labels = tiles_of(trained, places)
    z = np.loadtxt(folder / "tensors.tsv", dtype=np.float32)
    expected, _ = latent.encode(model_of(trained), encode_phases(labels, n_phases))
    np.testing.assert_array_equal(z, expected)
    for phase in [1] if n_phases == 2 else [0, 1, 2]:
        column = header.index(f"volume_fraction_{phase}")
        written = [float(row[column]) for row in rows]
        np.testing.assert_allclose(written, (labels == phase).mean(axis=(1, 2)), atol=1e-4)
    written = [float(row[header.index("interface_density")]) for row in rows]
    np.testing.assert_allclose(written, descriptors.interface_density(labels), atol=1e-4)
    assert not [path for path in folder.rglob("*") if path.name == "checkpoint"]


def test_embed_elsewhere_and_again(grains, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("embed", grains.run, "--count", 9, "--out", "points") == 0
    assert "tensorboard --logdir points, then" in capsys.readouterr().out
    assert run("embed", grains.run, "--count", 12, "--seed", 1, "--out", "points") == 0
    assert len(rows_of(tmp_path / "points")[1]) == 12
    assert json.loads(ask(tmp_path, "runs")) == ["points"]
    assert [path.name for path in tmp_path.iterdir()] == ["points"]


def test_packaged_models_by_name(grains, tmp_path, monkeypatch, tree):
    folder = RunFolder(grains.run)
    models = tmp_path / "models"
    (models / "steel").mkdir(parents=True)
    for file in (folder.config, folder.manifest):
        shutil.copy(file, models / "steel")
    save_compact_weights(model_of(grains), RunFolder(models / "steel").compact_weights)
    before = tree(models)
    monkeypatch.setattr(packaged, "MODELS", models)
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    assert run("traverse", "steel", "--steps", 2, "--out", "a.png") == 0
    assert run("interpolate", "steel", 1, 2, "--steps", 2, "--out", "b.png") == 0
    assert run("embed", "steel", "--count", 5) == 0
    assert json.loads(ask("tb_logs", "runs")) == ["steel/projector"]
    assert tree(models) == before
    for file in ("b.json", "tb_logs/steel/projector/metadata.tsv"):
        assert str(tmp_path) not in (tmp_path / "desk" / file).read_text()


# Refusals: one sentence, exit code 2, nothing written, TensorFlow not even imported


@pytest.fixture
def desk(grains, tmp_path):
    """A working directory with a run, and with what is no image of it."""
    shutil.copytree(grains.run, tmp_path / "runs" / "grains")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("precious")
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "numbers.json").mkdir()
    np.save(tmp_path / "three.npy", np.arange(3, dtype=np.uint8).repeat(64 * 64).reshape(192, 64))
    np.save(tmp_path / "small.npy", np.eye(40, dtype=np.uint8))
    iio.imwrite(tmp_path / "good.png", np.eye(64, dtype=np.uint8) * 255)
    iio.imwrite(tmp_path / "grey.png", np.arange(64 * 64).reshape(64, 64).astype(np.uint8))
    (tmp_path / "link.png").symlink_to("good.png")
    (tmp_path / "text.png").write_text("no image")
    return tmp_path


TRAVERSE, INTERPOLATE, EMBED = (
    "traverse runs/grains",
    "interpolate runs/grains",
    "embed runs/grains",
)
REFUSALS = [
    # runs
    ("traverse runs/grain --out a.png", "there is no such run folder"),
    ("interpolate notes 1 2 --out a.png", "not a run folder, it has no config.yaml"),
    ("embed runs/grain", "there is no such run folder"),
    # dimensions, range, steps
    (f"{TRAVERSE} --dims 0,32 --out a.png", "no dimension 32; its 32 dimensions are 0 to 31"),
    (
        f"{TRAVERSE} --dims -1 --out a.png",
        '"-1" is no list of dimensions; expected numbers such as',
    ),
    (f"{TRAVERSE} --dims a --out a.png", '"a" is no list of dimensions'),
    (f"{TRAVERSE} --dims 1,,2 --out a.png", "is no list of dimensions"),
    (
        f"{TRAVERSE} --dims {','.join(map(str, range(65)))} --out a.png",
        "65 are too many for a picture",
    ),
    (f"{TRAVERSE} --range 0 --out a.png", "finite number above 0, not 0.0"),
    (f"{TRAVERSE} --range -2 --out a.png", "finite number above 0, not -2.0"),
    (f"{TRAVERSE} --range nan --out a.png", "finite number above 0, not nan"),
    (f"{TRAVERSE} --range inf --out a.png", "finite number above 0, not inf"),
    (f"{TRAVERSE} --range 1e39 --out a.png", "at most 100 standard deviations, not 1e+39"),
    (f"{TRAVERSE} --steps 1 --out a.png", "1 is not in the range"),
    (f"{INTERPOLATE} 1 2 --steps 1 --out a.png", "1 is not in the range"),
    (f"{EMBED} --count 2", "2 is not in the range"),
    # where to begin
    (f"{TRAVERSE} --seed 1 --tile 0 --out a.png", "contradict each other; give one of them"),
    (
        f"{TRAVERSE} --tile 0 --image good.png --out a.png",
        "contradict each other; give one of them",
    ),
    (f"{TRAVERSE} --tile 4 --out a.png", "There is no tile 4: grains has 4, 0 to 3"),
    (f"{TRAVERSE} --tile -1 --out a.png", "-1 is not in the range"),
    (f"{TRAVERSE} --seed {2**31} --out a.png", "is not in the range"),
    (f"{INTERPOLATE} 1 {2**31} --out a.png", f"{2**31}: is no seed; seeds are 0 to {2**31 - 1}"),
    (f"{INTERPOLATE} 1 tile:99 --out a.png", "There is no tile 99"),
    (f"{INTERPOLATE} 1 tile:x --out a.png", 'there is no file "tile:x"'),
    (f"{INTERPOLATE} 3 3 --out a.png", "A and B are the same (seed 3)"),
    (
        f"{INTERPOLATE} grains tile:0 --out a.png",
        "A and B are the same (grains, upper left corner)",
    ),
    # images
    (f"{TRAVERSE} --image grain --out a.png", 'did you mean "grains"?'),
    (f"{TRAVERSE} --image missing.png --out a.png", 'there is no file "missing.png"'),
    (f"{TRAVERSE} --image three.npy --out a.png", "has 3 phases, but the model of runs/grains"),
    (f"{TRAVERSE} --image small.npy --out a.png", "are needed; give a larger image."),
    (f"{TRAVERSE} --image ellipses --out a.png", "ellipses: is too small, 32 × 32 pixels"),
    (f"{TRAVERSE} --image text.png --out a.png", "text.png"),
    (f"{TRAVERSE} --image grey.png --out a.png", "how to part them into phases must be stated"),
    (f"{INTERPOLATE} 1 grey.png --out a.png", "how to part them into phases must be stated"),
    (f"{INTERPOLATE} 1 grey.png --threshold x --out a.png", "expected otsu or a number"),
    (f"{INTERPOLATE} 1 grey.png --threshold 3 --phases 2 --out a.png", "contradict each other"),
    (f"{INTERPOLATE} 1 grey.png --threshold 300 --out a.png", "--threshold 300 leaves one phase"),
    (f"{TRAVERSE} --image grey.png --out a.png", 'give --threshold ("otsu" or a value between'),
    # a segmentation of nothing
    (f"{TRAVERSE} --threshold 5 --out a.png", "--threshold 5.0: is for an image, and none is"),
    (f"{TRAVERSE} --tile 0 --phases 2 --out a.png", "give one, or leave --phases out"),
    (f"{TRAVERSE} --threshold 3 --phases 2 --out a.png", "contradict each other"),
    (f"{INTERPOLATE} 1 tile:0 --threshold otsu --out a.png", "--threshold otsu: is for an image"),
    # outputs
    (f"{TRAVERSE}", "Missing option '--out'"),
    (f"{TRAVERSE} --out a.gif", "must be the name of a picture, ending in .png"),
    (f"{INTERPOLATE} 1 2 --out a", "must be the name of a picture, ending in .png"),
    (f"{TRAVERSE} --out folder.png", "folder.gif is a folder; choose another name"),
    (f"{INTERPOLATE} 1 2 --out numbers.png", "numbers.json is a folder; choose another name"),
    (f"{TRAVERSE} --image good.png --out good.png", "would replace good.png, which is read"),
    (f"{TRAVERSE} --image link.png --out good.png", "would replace link.png, which is read"),
    (f"{INTERPOLATE} 1 ./good.png --out good.png", "would replace ./good.png, which is read"),
    (f"{TRAVERSE} --out .", "must be the name of a picture, ending in .png"),
    (f"{INTERPOLATE} 1 2 --out .", "must be the name of a picture, ending in .png"),
    (f"{TRAVERSE} --image ~nobody.png --out a.png", 'there is no file "~nobody.png"'),
    (f"{TRAVERSE} --out notes/a.txt/b.png", "can't be written to; choose another place"),
    (f"{INTERPOLATE} 1 2 --out notes/a.txt/b.png", "can't be written to; choose another place"),
    (f"{EMBED} --out notes", "holds something that is no embedding"),
    (f"{EMBED} --out good.png", "holds something that is no embedding"),
    (f"{EMBED} --out notes/a.txt/b", "can't be written to; choose another place"),
]


def check_refusal(code, out, err, words):
    assert code == 2, err
    assert out == ""
    *usage, last = err.splitlines()
    assert last.startswith("Error: ") and words in last, err
    assert not usage or usage[0].startswith("Usage: "), err


@pytest.mark.parametrize(("command", "words"), REFUSALS, ids=[command for command, _ in REFUSALS])
def test_refused(command, words, desk, capsys, monkeypatch, tree):
    def too_early(*_):
        raise RuntimeError("TensorFlow would have been imported")

    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", too_early)
    monkeypatch.chdir(desk)
    before = tree(desk)
    code = run(*command.split())
    check_refusal(code, *capsys.readouterr(), words)
    assert tree(desk) == before


# The same with processes, in which TensorFlow cannot be imported, for some of every kind.
@pytest.mark.parametrize("index", range(3, len(REFUSALS), 18), ids=lambda index: REFUSALS[index][0])
def test_refused_by_the_process(index, desk, davegan, no_tensorflow, tree):
    command, words = REFUSALS[index]
    before = tree(desk)
    done = davegan(*command.split(), cwd=desk, env=no_tensorflow)
    check_refusal(done.returncode, done.stdout, done.stderr, words)
    assert tree(desk) == before


@pytest.mark.parametrize("command", [TRAVERSE, f"{INTERPOLATE} 1 tile:2", EMBED])
def test_the_fake_tensorflow_is_reached_only_after_all_checks(
    command, desk, davegan, no_tensorflow, tree
):
    before = tree(desk)
    out = [] if command == EMBED else ["--out", "a.png"]
    done = davegan(*command.split(), *out, cwd=desk, env=no_tensorflow)
    assert "tensorflow was imported" in done.stderr
    assert tree(desk) == before


def test_other_data_than_the_run_s_are_refused(three_phases, tmp_path, monkeypatch, capsys, tree):
    shutil.copytree(three_phases.home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    np.save("stripes.npy", np.load("stripes.npy")[::-1])
    before = tree(tmp_path)
    for command in (
        "traverse {} --tile 0 --out a.png",
        "interpolate {} 1 tile:0 --out a.png",
        "embed {}",
    ):
        assert run(*command.format("runs/stripes").split()) == 2
        assert "was trained on other data" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_a_command_from_another_process_writes_the_same(grains, tmp_path, davegan):
    arguments = ("traverse", grains.run, "--seed", 4, "--steps", 3, "--out")
    done = davegan(*arguments, "a.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(*arguments, tmp_path / "b.png") == 0
    for suffix in (".png", ".gif"):
        one, other = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
        assert one == other
