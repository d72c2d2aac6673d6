"""The explorer page: its numbers against NumPy and Keras, and its controls as a user handles them in Chromium."""

import base64
import json
import shutil
import subprocess
from types import SimpleNamespace

import imageio.v3 as iio
import keras
import numpy as np
import pytest

from davegan_tf import descriptors, explorer, folded_layers, latent
from davegan_tf.building import load_model
from davegan_tf.dataset import decode_phases, encode_phases
from davegan_tf.errors import InputError
from davegan_tf.export_check import ExportFailed
from davegan_tf.figures import to_grey
from davegan_tf.image_files import read_image
from davegan_tf.inference import generate_labels
from davegan_tf.networks import Encoder, Generator
from davegan_tf.packaged import MODELS
from davegan_tf.recasting import recast
from davegan_tf.run_folder import RunFolder
from davegan_tf.segmentation import otsu_thresholds

# Scripts that need no page.
PURE = explorer.SCRIPTS[: explorer.SCRIPTS.index("curve.js")]
# Two phases without the training data at hand; three phases with them.
NAMES = ("alloy", "composite")
CROPS = np.random.default_rng(0).integers(0, 3, (256, 64, 64), dtype=np.uint8)
VIEWS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


def giving(crops):
    """What stands in for ``training_crops``; of None: they are not to be had."""

    def training_crops(run):
        if crops is None:
            raise InputError(f"{run.path}: its micrograph is nowhere.")
        return crops

    return training_crops


class Explored:
    """A packaged model with its page."""

    def __init__(self, name, folder, crops):
        self.run = RunFolder(MODELS / name)
        self.model, step = load_model(self.run)
        self.exact = recast(self.model, "float64")
        self.n_phases = 2 if self.model.arguments["channels"] == 1 else 3
        self.path = folder / f"{name}.html"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(explorer, "training_crops", giving(crops))
            self.told = explorer.write_explorer(self.path, self.model, self.run, step)
        self.text = self.path.read_text("utf-8")
        between = '<script type="application/json" id="content">', "</script>"
        self.content = json.loads(self.text.split(between[0])[1].split(between[1])[0])
        self.z = self.model.sample_latent(64, seed=7).numpy()
        self.images = generate_labels(self.model, 64, seed=8)

    def farthest(self, fraction, phase):
        """Of 64 z, that whose structure's volume fraction is farthest from this one."""
        labels = decode_phases(self.model.generate(self.z).numpy())
        return self.z[np.argmax(np.abs((labels == phase).mean(axis=(1, 2)) - fraction))]


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: Explored(name, folder, crops)
        for name, crops in zip(NAMES, (None, CROPS), strict=True)
    }


@pytest.fixture
def open_page(chromium):
    """``open_page(explored, hash, **view)``: a page, opened from disk, that may fetch nothing and say no error."""
    contexts, wrong = [], []

    def open_one(one, fragment="", **view):
        context = chromium.new_context(**(VIEWS["light"] | view), accept_downloads=True)
        contexts.append(context)
        # The page's random numbers, its first structure among them, are the same in every run of the tests.
        context.add_init_script("crypto.getRandomValues = (array) => array.fill(1)")
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: note(request.url))
        page.goto(f"{one.path.as_uri()}{fragment}")
        page.wait_for_selector("main:not([aria-busy])")
        return page

    def note(url):
        if not url.startswith(("file:", "data:", "blob:")):
            wrong.append(f"asked for {url}")

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def javascript(request):
    """``javascript(body, **data)``: what a function body returns that sees the page's scripts and ``data``."""
    scripts = "\n".join((explorer.PAGE / name).read_text("utf-8") for name in PURE)
    if shutil.which("node") is None:
        page = request.getfixturevalue("chromium").new_page()
        page.add_script_tag(content=scripts)
        return lambda body, **data: page.evaluate(f"async (data) => {{ {body} }}", data)
    main = "(async (data) => {{ {} }})(JSON.parse(require('fs').readFileSync(0))).then((result) => "
    main += "console.log(JSON.stringify(result)))"

    def run(body, **data):
        command = ["node", "-e", f"{scripts}\n{main.format(body)}"]
        done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


# --- folded layers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [Encoder, Generator])
@pytest.mark.parametrize(("side", "channels"), [(32, 1), (64, 3), (128, 1)])
def test_folded_layers_are_the_network(network, side, channels):
    size = {"image_size": side, "channels": channels, "latent_dim": 5}
    # A slope that TensorFlow, which keeps it in float32 even here, has exactly.
    model = network(**size, precision="float64", leaky_relu_slope=0.25)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        # Variances too: none is the 0 or 1 that folding could forget.
        variable.assign(rng.uniform(0.2, 0.6, variable.shape) * rng.choice([1, -1]))
    for layer in model.stack.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    inputs = rng.standard_normal((2, *model.stack.input_shape[1:]), dtype=np.float32)
    expected = np.asarray(model.stack(inputs, training=False))
    mine = folded_layers.run_folded(folded_layers.fold(model.stack), inputs)
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("bits", [8, 18, 26, 32])
def test_a_weight_is_off_by_half_a_scale_at_most(bits):
    kernel = np.random.default_rng(0).standard_normal((2, 2, 2, 2, 3, 4))
    kernel[..., 1] = 0
    layer = folded_layers.FoldedLayer(kernel, np.zeros(4), 1, 1, 1.0)
    codes, scale = folded_layers.quantize(layer, bits)
    assert codes.max() < 2**bits
    error = np.abs(folded_layers.dequantize(codes, scale, bits) - kernel)
    assert (error <= 0.501 * scale).all()
    assert (error[..., 1] == 0).all()


def test_networks_are_read_as_they_were_written(explored):
    model = explored["composite"].model
    read = explorer._read_networks(explored["composite"].content["networks"])
    for name, bits in explorer.BITS.items():
        for mine, own in zip(
            read[name], folded_layers.fold(getattr(model, name).stack), strict=True
        ):
            limit = np.abs(own.kernel).max() / 2**bits
            np.testing.assert_allclose(mine.kernel, own.kernel, rtol=0, atol=1.01 * limit)
            np.testing.assert_allclose(mine.bias, own.bias, rtol=1e-6, atol=1e-6)
            assert (mine.step, mine.padding, mine.slope) == (own.step, own.padding, own.slope)


# --- the file -------------------------------------------------------------------------------------------------------


def test_the_page_is_one_file(explored):
    for one in explored.values():
        size = one.path.stat().st_size
        assert size < 900_000
        assert f"wrote {one.path} (one page, {size / 1e3:.0f} kB" in one.told
        assert float(one.told.split("inputs: ")[1].split()[0]) <= 2e-5
        for word in ("http:", "https:", "//cdn", '<link rel="stylesheet', "import "):
            assert word not in one.text, word


def test_statistics_of_the_data_are_the_descriptors(explored):
    reference = explored["composite"].content["reference"]
    assert (reference["kind"], reference["count"]) == ("crops", 256)
    for phase in range(3):
        inside = np.equal(CROPS, phase)
        curve = descriptors.radial_average(descriptors.two_point_correlation(inside))
        mine = reference["phases"][str(phase)]
        np.testing.assert_allclose(mine["s2"], curve.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(mine["s2Std"], curve.std(axis=0), atol=1e-6)
        np.testing.assert_allclose(mine["fraction"][0], inside.mean(), atol=1e-6)
    assert "256 crops of the micrograph" in explored["composite"].told


def test_without_the_data_samples_are_shown_and_named_so(explored):
    content = explored["alloy"].content
    assert content["reference"] == content["samples"] | {"kind": "samples"}
    told = explored["alloy"].told
    assert "256 samples" in told
    assert "no crops of what it was trained on: " in told and "its micrograph is nowhere." in told


def test_crops_of_the_training_data_and_no_others(monkeypatch):
    # Its training data can be generated anywhere.
    run = RunFolder(MODELS / "checkerboard")
    crops = explorer.training_crops(run)
    assert crops.shape == (256, 64, 64)
    assert crops.mean() == pytest.approx(0.5, abs=0.01)
    manifest = run.read_manifest()
    manifest["data"]["digest"] = "another"
    monkeypatch.setattr(RunFolder, "read_manifest", lambda self: manifest)
    with pytest.raises(InputError, match="was trained on other data"):
        explorer.training_crops(run)


def test_names_can_do_no_harm():
    nasty = "</script><script>alert(1)</script>{{style}}"
    text = explorer._page(nasty, json.dumps({"name": nasty}))
    assert "alert(1)</script>" not in text
    assert text.count("</script>") == 2
    assert text.count("<title>&lt;/script&gt;") == 1


def test_a_page_that_differs_is_not_written(explored, tmp_path, monkeypatch):
    one = explored["alloy"]
    monkeypatch.setattr(explorer, "training_crops", giving(None))
    monkeypatch.setattr(explorer, "BITS", {"encoder": 8, "generator": 8})
    with pytest.raises(ExportFailed, match=r"would differ from the run's by \d"):
        explorer.write_explorer(tmp_path / "page.html", one.model, one.run, 0)
    assert list(tmp_path.iterdir()) == []


# --- numbers --------------------------------------------------------------------------------------------------------

FORWARD = """
const { encoder, generator } = await readNetworks(data.networks);
const generate = new Generator(generator, data.side, data.phases);
const encode = new Encoder(encoder, data.side, data.phases, data.latent);
return {
  probabilities: data.z.map((z) => (generate.run(Float32Array.from(z)), Array.from(generate.probabilities))),
  labels: data.z.map((z) => (generate.run(Float32Array.from(z)), Array.from(generate.labels))),
  zMean: data.images.map((labels) => Array.from(encode.run(Uint8Array.from(labels)))),
};
"""


def check_forward(one, result):
    """64 random z and 64 images: the browser's numbers are Keras' to 1e-4."""
    channels = one.model.arguments["channels"]
    probabilities = np.reshape(result["probabilities"], (64, 64, 64, channels))
    expected = one.exact.generate(one.z).numpy()
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-4)
    labels = np.reshape(result["labels"], (64, 64, 64))
    np.testing.assert_array_equal(labels, decode_phases(probabilities))
    z_mean, _ = one.exact.encode(encode_phases(one.images, one.n_phases))
    np.testing.assert_allclose(result["zMean"], z_mean, rtol=0, atol=1e-4)
    # Keras in float32 rounds more coarsely than the page does: a pixel or two at a boundary.
    own = decode_phases(one.model.generate(one.z).numpy())
    assert (labels != own).sum() <= 2


def forward_data(one):
    keys = ("networks", "side", "phases", "latent")
    images = one.images.reshape(64, -1).tolist()
    return {key: one.content[key] for key in keys} | {"z": one.z.tolist(), "images": images}


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_agree_with_keras(name, explored, javascript):
    one = explored[name]
    check_forward(one, javascript(FORWARD, **forward_data(one)))


@pytest.mark.parametrize(("side", "phases"), [(32, 2), (128, 5)])
def test_other_sizes_and_numbers_of_phases(side, phases, javascript):
    channels = 1 if phases == 2 else phases
    size = {"image_size": side, "channels": channels, "latent_dim": 7, "precision": "float64"}
    model = SimpleNamespace(encoder=Encoder(**size), generator=Generator(**size))
    rng = np.random.default_rng(0)
    for variable in (*model.encoder.weights, *model.generator.weights):
        variable.assign(variable + rng.uniform(0, 0.1, variable.shape))
    z = rng.standard_normal((2, 7)).astype(np.float32)
    labels = rng.integers(0, phases, (2, side, side))
    data = {"z": z.tolist(), "images": labels.reshape(2, -1).tolist(), "latent": 7}
    networks = explorer._networks(model)
    result = javascript(FORWARD, networks=networks, side=side, phases=phases, **data)
    probabilities = np.reshape(result["probabilities"], (2, side, side, channels))
    np.testing.assert_allclose(probabilities, model.generator(z), atol=1e-5)
    z_mean, _ = model.encoder(encode_phases(labels, phases))
    np.testing.assert_allclose(result["zMean"], z_mean, atol=1e-5 * np.abs(z_mean).max())


@pytest.mark.parametrize("side", [32, 64, 128])
def test_the_two_point_correlation_is_the_descriptors(side, javascript):
    labels = np.random.default_rng(side).integers(0, 3, (side, side))
    labels[: side // 2, : side // 3] = 1
    body = """
    const correlation = new TwoPointCorrelation(data.side);
    const labels = Uint8Array.from(data.labels);
    return [0, 1, 2].map((phase) => [volumeFraction(labels, phase), Array.from(correlation.run(labels, phase))]);
    """
    for phase, (fraction, curve) in enumerate(
        javascript(body, side=side, labels=labels.ravel().tolist())
    ):
        s2 = descriptors.radial_average(descriptors.two_point_correlation(labels == phase))
        np.testing.assert_allclose(curve, s2, rtol=0, atol=1e-12)
        assert fraction == pytest.approx((labels == phase).mean(), abs=1e-15)
        assert curve[0] == pytest.approx(fraction, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_thresholds_are_the_segmentations(classes, javascript):
    rng = np.random.default_rng(classes)
    grey = np.clip(rng.choice([40, 110, 180, 230], 5000) + rng.normal(0, 12, 5000), 0, 255)
    # What 8-bit images hold, and what NPY files may.
    for values in (grey.astype(np.uint8), grey.astype(np.float32)):
        body = "return otsuThresholds(Float32Array.from(data.values), data.classes)"
        mine = javascript(body, values=values.tolist(), classes=classes)
        np.testing.assert_allclose(mine, otsu_thresholds(values, classes), rtol=1e-6)
    # One hot pixel has all other values in one bin; with more of them than bins, and with fewer.
    for levels in (np.arange(200), np.arange(0, 900, 2)):
        values = np.append(rng.choice(levels, 5000), 65535).astype(np.uint16)
        mine = javascript(body, values=values.tolist(), classes=classes)
        np.testing.assert_allclose(mine, otsu_thresholds(values, classes), rtol=1e-6)


def test_how_an_image_is_parted(javascript):
    body = """
    const part = ({ values, phases, lossy, given }) => {
      try {
        const { labels, thresholds } = segment({ values: Float32Array.from(values), lossy }, phases, given);
        return [Array.from(labels), thresholds];
      } catch (error) {
        return error.message;
      }
    };
    return data.cases.map(part);
    """
    cases = [
        ({"values": [0, 255, 255, 0], "phases": 2}, [[0, 1, 1, 0], None]),
        ({"values": [0, 2, 2, 0], "phases": 3}, [[0, 2, 2, 0], None]),
        ({"values": [7, 9, 200, 9], "phases": 3}, [[0, 1, 2, 1], None]),
        ({"values": [10, 12, 200, 202], "phases": 2}, [[0, 0, 1, 1], [106]]),
        ({"values": [0, 255], "phases": 2, "lossy": True}, [[0, 1], [127.5]]),
        ({"values": [0, 128, 255], "phases": 2, "given": [200]}, [[0, 0, 1], [200]]),
        ({"values": [5, 5], "phases": 2}, "one value all over"),
        ({"values": [7, 9], "phases": 3}, "2 grey levels; the model has 3"),
    ]
    for (_, expected), mine in zip(
        cases, javascript(body, cases=[case for case, _ in cases]), strict=True
    ):
        assert expected in mine if isinstance(expected, str) else mine == expected


def test_a_square_is_cut_and_shrunk_by_majority(javascript):
    labels = np.zeros((8, 10), int)
    labels[2:6, 4:8] = np.kron([[1, 2], [0, 1]], np.ones((2, 2), int))
    labels[2, 4] = 0
    body = """
    const image = { labels: Uint8Array.from(data.labels), width: 10 };
    const cut = (row, column, size, side) => Array.from(cutOut(image, { row, column, size }, side, 3));
    return [cut(2, 4, 4, 2), cut(2, 4, 4, 4)];
    """
    shrunk, same = javascript(body, labels=labels.ravel().tolist())
    assert shrunk == [1, 2, 0, 1]
    assert same == labels[2:6, 4:8].ravel().tolist()


def test_numpy_files_are_read(tmp_path, javascript):
    body = """
    const read = (numbers) => {
      try {
        const { values, height, width } = readNpy(Uint8Array.from(numbers).buffer);
        return [Array.from(values), height, width];
      } catch (error) {
        return error.message;
      }
    };
    return data.files.map(read);
    """
    image = np.arange(6).reshape(2, 3)
    arrays = [image.astype(kind) for kind in ("bool", "u1", "<i2", "<u4", "<i8", "<f4", "<f8")]
    arrays += [np.asfortranarray(image), image[np.newaxis]]
    wrong = [np.stack([image, image]), image.astype(">f4"), image.astype(complex)]
    files = []
    for array in arrays + wrong:
        np.save(tmp_path / "array.npy", array)
        files.append(list((tmp_path / "array.npy").read_bytes()))
    files.append(files[6][:-1])
    *read, several, big, numbers, truncated = javascript(body, files=files)
    for array, mine in zip(arrays, read, strict=True):
        assert mine == [array.astype(float).ravel().tolist(), 2, 3]
    assert "shape (2, 2, 3)" in several
    assert "plain numbers" in big
    assert "plain numbers" in numbers
    assert "truncated" in truncated


def test_labels_are_the_grey_levels_of_every_picture(javascript):
    body = """
    return data.phases.map((phases) => Array.from({ length: phases }, (_, phase) => greyLevel(phase, phases)));
    """
    for phases, levels in zip(range(2, 9), javascript(body, phases=list(range(2, 9))), strict=True):
        assert levels == to_grey(np.arange(phases), phases).tolist()


def test_a_link_holds_the_state(javascript):
    z = np.float32([[0.1, -2.5, 3e-8], [1, 2, 3]]).tolist()
    body = """
    const [z, a] = data.z.map((each) => Float32Array.from(each));
    const decoded = decodeState(encodeState({ z, dimension: 2, phase: 1, a, b: null }), 3);
    const refused = data.texts.map((text) => {
      try {
        return decodeState(text, 3);
      } catch (error) {
        return error.message;
      }
    });
    return [{ ...decoded, z: Array.from(decoded.z), a: Array.from(decoded.a) }, refused];
    """
    whole = "z=AAAAAAAAAAAAAAAA"
    texts = [
        "",
        "latent",
        "z=AAAA",
        "z=$",
        "z=AADAfwAAAAAAAAAA",
        f"{whole}&dimension=9",
        f"{whole}&a=AA",
    ]
    state, answers = javascript(body, z=z, texts=texts)
    assert state == {"z": z[0], "dimension": 2, "phase": 1, "a": z[1], "b": None}
    assert answers[:2] == [None, None]
    assert all("damaged" in answer for answer in (*answers[2:5], answers[6]))
    assert answers[5]["dimension"] == 2


def test_what_is_undone(javascript):
    body = """
    const stack = new UndoStack(Float32Array.of(0));
    const commit = (value, what, time) => stack.commit(Float32Array.of(value), what, time);
    commit(1, "random", 0);
    commit(2, "z 3", 5000);
    commit(3, "z 3", 5500);
    const same = commit(3, "z 4", 6000);
    commit(4, "z 3", 9000);
    const steps = [];
    for (const move of ["undo", "undo", "undo", "undo", "redo", "redo"]) steps.push([stack[move](), stack.current[0]]);
    commit(9, "random", 10000);
    return [same, steps, stack.redo(), stack.undo(), stack.current[0]];
    """
    same, steps, redone, undone, current = javascript(body)
    assert same is False
    assert steps == [["z 3", 3], ["z 3", 1], ["random", 0], [None, 0], ["random", 1], ["z 3", 3]]
    assert (redone, undone, current) == (None, "random", 3)


def test_random_numbers_are_normal(javascript):
    body = """
    const numbers = new NormalNumbers(3);
    return [Array.from(numbers.fill(new Float32Array(40000))), Array.from(numbers.fill(new Float32Array(3)))];
    """
    many, after = javascript(body)
    assert np.mean(many) == pytest.approx(0, abs=0.02)
    assert np.std(many) == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(many) < 1) == pytest.approx(0.6827, abs=0.01)
    assert np.mean(np.power(many, 4)) == pytest.approx(3, abs=0.15)
    assert javascript(body)[1] == after


def test_moves_of_the_search_leave_the_prior_as_it_is(javascript):
    body = """
    // A generator for which no fraction is right, so that the search moves again and again from where it began.
    const seen = [];
    const run = (z) => seen.push(z.slice());
    const generator = { network: { input: { length: 2000 } }, labels: new Uint8Array(4096), run };
    const start = new Float32Array(2000).fill(10);
    const search = new FractionSearch(generator, new NormalNumbers(3), { fraction: 1, phase: 1, start });
    for (let i = 0; i < 100; i++) search.step();
    return seen.slice(1).map((z) => Array.from(z));
    """
    moved = np.array(javascript(body))
    # z' = cos(t) z + sin(t) ξ: what z' keeps of z, and its spread.
    cosine, sine = moved.mean(axis=1) / 10, moved.std(axis=1)
    np.testing.assert_allclose(cosine**2 + sine**2, 1, atol=0.06)
    assert sine.min() < 0.05
    assert sine.max() > 0.8


def test_the_search_finds_what_samples_show(explored, javascript):
    one = explored["alloy"]
    low, high = one.content["samples"]["phases"]["1"]["range"]
    wanted = np.linspace(low, high, 7).round(3).tolist()
    body = """
    const { generator } = await readNetworks(data.networks);
    const generate = new Generator(generator, data.side, data.phases);
    const numbers = new NormalNumbers(1);
    const search = (fraction, start) => {
      const searching = new FractionSearch(generate, numbers, { fraction, phase: 1, start });
      while (!searching.done) searching.step();
      generate.run(searching.best);
      return [searching.found, volumeFraction(generate.labels, 1), Array.from(searching.best)];
    };
    const start = Float32Array.from(data.z[0]);
    return data.wanted.flatMap((fraction) => [search(fraction), search(fraction, start)]);
    """
    data = forward_data(one) | {"wanted": wanted}
    for (found, again, z), target in zip(
        javascript(body, **data), np.repeat(wanted, 2), strict=True
    ):
        assert found == again
        assert found == pytest.approx(target, abs=0.001)
        # As long as samples of the prior are: |z|² of 32 numbers is 32 ± 8.
        assert np.square(z).sum() == pytest.approx(32, abs=32)


# --- the page in a browser ------------------------------------------------------------------------------------------

SHOWN = "() => ({ z: Array.from(state.z), labels: Array.from(page.generator.labels) })"


def wait(page, condition):
    """Until a condition holds; Playwright's own way is one that the page's policy forbids."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {condition}")


def wait_for_text(page, element, words):
    wait(page, f"at({json.dumps(element)}).textContent.includes({json.dumps(words)})")


def shown(page):
    """z and labels of the structure that the page shows, once it is drawn."""
    wait(page, "!state.dirty && !state.search")
    now = page.evaluate(SHOWN)
    return np.float32(now["z"]), np.reshape(now["labels"], (64, 64))


def start_at(z):
    """The address's part from # on that opens the page with this structure."""
    return "#z=" + base64.urlsafe_b64encode(np.float32(z).tobytes()).decode().rstrip("=")


def fraction_told(page):
    return float(page.locator("#readings td").first.inner_text())


@pytest.mark.parametrize("name", NAMES)
def test_chromium_agrees_with_keras(name, explored, open_page):
    page = open_page(explored[name])
    difference = page.evaluate("page.difference")
    assert max(difference.values()) <= 1e-4
    assert "differ from the trained model's by 0.0000" in page.locator("#check").inner_text()
    data = forward_data(explored[name])
    data = forward_data(explored[name])
    # As text, which crosses the border between the processes faster.
    body = (
        f"async (text) => JSON.stringify(await (async (data) => {{ {FORWARD} }})(JSON.parse(text)))"
    )
    check_forward(explored[name], json.loads(page.evaluate(body, json.dumps(data))))


def test_a_new_page_begins_anywhere(explored, chromium):
    begun = []
    for _ in range(2):
        context = chromium.new_context()
        page = context.new_page()
        page.goto(explored["alloy"].path.as_uri())
        page.wait_for_selector("main:not([aria-busy])")
        begun.append(shown(page)[0])
        context.close()
    assert (begun[0] != begun[1]).all()


def test_a_redraw_takes_less_than_a_frame(explored, open_page):
    page = open_page(explored["alloy"])
    body = """() => Array.from({ length: 60 }, () => {
      numbers.fill(state.z);
      const start = performance.now();
      redraw();
      return performance.now() - start;
    })"""
    assert np.percentile(page.evaluate(body), 25) < 1000 / 60


def test_a_slider_moves_and_is_undone_by_keys(explored, open_page):
    one = explored["alloy"]
    page = open_page(one)
    before, _ = shown(page)
    slider = page.locator("#z5")
    page.locator("#more-title").click()
    slider.focus()
    slider.fill("1.5")
    slider.press("ArrowRight")
    z, labels = shown(page)
    assert z[5] == pytest.approx(1.51)
    np.testing.assert_array_equal(np.delete(z, 5), np.delete(before, 5))
    own = decode_phases(one.model.generate(z[None]).numpy())[0]
    assert (labels != own).sum() <= 1
    assert fraction_told(page) == pytest.approx(labels.mean(), abs=6e-4)
    # The strip varies the slider that was touched.
    assert page.locator("#dimension").input_value() == "5"
    wait(page, "page.traversal.next === STEPS")
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(shown(page)[0], before)
    page.keyboard.press("Control+Shift+z")
    np.testing.assert_array_equal(shown(page)[0], z)
    wait_for_text(page, "status", "φ of phase 1")


def test_the_strip_shows_the_traversal(explored, open_page):
    one = explored["alloy"]
    page = open_page(one)
    page.select_option("#dimension", "9")
    wait(page, "page.traversal.next === STEPS")
    z, _ = shown(page)
    expected = decode_phases(latent.traverse(one.model, z, [9])[0])
    told = [
        float(text.split("φ")[1]) for text in page.locator("#traversal button").all_inner_texts()
    ]
    np.testing.assert_allclose(told, expected.mean(axis=(1, 2)), atol=1e-3)
    page.locator("#traversal button").nth(6).click()
    z, labels = shown(page)
    assert z[9] == 3
    assert (labels != expected[6]).sum() <= 1


STOPPED = """
const elements = {}, told = [];
const at = (id) => (elements[id] ??= { addEventListener(kind, told) { this[kind] = told; }, checked: false });
const state = { z: [0, 0], search: null, phase: 1 };
state.z.set = (best) => (state.z = Object.assign([...best], { set: state.z.set }));
state.search = { best: [1, 2], error: 1, tried: 7, found: 0.31, fraction: 0.3, tolerance: 0.02, done: false, step() {
  this.error = 0.01; } };
const page = { traversal: { refresh() {} }, undo: { current: [0, 0] } };
const matchMedia = () => ({ matches: data.still });
const changed = () => {}, commit = (what) => told.push([what, [...state.z]]), say = () => {};
const names = "at, state, page, matchMedia, changed, commit, say, FRAME, STEPS";
const { wireFinding, searchOn } = new Function(names, `${data.finding}; return { wireFinding, searchOn };`)(
  at, state, page, matchMedia, changed, commit, say, 1, 9);
wireFinding();
searchOn(performance.now());
const shown = [...state.z];
elements.find.submit({ preventDefault() {} });
return { shown, told, text: elements.found.textContent, searching: state.search !== null };
"""


@pytest.mark.parametrize("still", [False, True])
def test_a_search_that_is_stopped_shows_what_it_found(still, javascript):
    """Also where nothing moves meanwhile, as the system asks for (prefers-reduced-motion)."""
    finding = (explorer.PAGE / "finding.js").read_text("utf-8")
    found = javascript(STOPPED, finding=finding, still=still)
    assert found["shown"] == ([0, 0] if still else [1, 2])
    assert found["told"] == [["Structure found", [1, 2]]]
    assert found["text"] == "φ = 0.3100, wanted 0.3; 7 structures were tried."
    assert not found["searching"]


def test_a_link_restores_the_page(explored, open_page):
    one = explored["alloy"]
    page = open_page(one)
    page.click("#pin-a")
    page.click("#random")
    page.click("#pin-b")
    page.select_option("#dimension", "3")
    page.locator("#share").fill("0.25")
    page.locator("#share").dispatch_event("change")
    z, labels = shown(page)
    a, b = (np.array(page.evaluate(f"Array.from(state.{name})"), np.float32) for name in "ab")
    np.testing.assert_allclose(z, 0.75 * a + 0.25 * b, atol=1e-6)
    fragment = page.evaluate("location.hash")
    other = open_page(one, fragment)
    restored, same = shown(other)
    np.testing.assert_array_equal(restored, z)
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_array_equal(other.evaluate("Array.from(state.b)"), b)
    assert other.locator("#dimension").input_value() == "3"
    assert other.locator("#path").is_visible()
    assert not other.locator("#undo").is_enabled()
    # Into the open page, too; what cannot be a state of this model is refused in words.
    page.click("#random")
    page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
    wait_for_text(page, "said", "Restored")
    np.testing.assert_array_equal(shown(page)[0], z)
    page.evaluate("location.hash = 'z=AAAA'")
    page.wait_for_selector("#alert:not([hidden])")
    assert "another model" in page.locator("#alert").inner_text()
    np.testing.assert_array_equal(shown(page)[0], z)


def test_files_are_what_is_shown(explored, open_page, tmp_path):
    one = explored["composite"]
    page = open_page(one)
    z, labels = shown(page)

    def save(button):
        with page.expect_download() as download:
            page.click(button)
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    picture = read_image(save("#save-png")).values
    np.testing.assert_array_equal(picture, to_grey(labels, 3))
    saved = np.load(save("#save-npy"))
    assert saved.dtype == np.uint8
    np.testing.assert_array_equal(saved, labels)
    np.testing.assert_array_equal(np.load(save("#save-z")), z)
    curve = np.loadtxt(save("#save-curve"), delimiter=",", skiprows=1)
    s2 = descriptors.radial_average(descriptors.two_point_correlation(labels == 0))
    np.testing.assert_allclose(curve[:, :2], np.stack([np.arange(33), s2], axis=1), atol=1e-12)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("composite.png", "composite.npy", "composite-z.npy", "composite-s2.csv")
    }


def drop(page, path):
    """Drop a file onto the page, as from a file manager."""
    data = page.evaluate_handle(
        """([numbers, name, type]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(numbers)], name, { type }));
          return data;
        }""",
        [list(path.read_bytes()), path.name, "image/png" if path.suffix == ".png" else ""],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})


@pytest.mark.parametrize("name", NAMES)
def test_an_image_that_is_dropped_is_encoded(name, explored, open_page, tmp_path):
    one = explored[name]
    image = one.images[3]
    iio.imwrite(tmp_path / "image.png", to_grey(image, one.n_phases))
    np.save(tmp_path / "image.npy", image)
    page = open_page(one)
    expected = latent.z_of_image(one.model, encode_phases(image, one.n_phases))
    for file in ("image.png", "image.npy"):
        page.click("#random")
        drop(page, tmp_path / file)
        wait_for_text(page, "said", "Your image")
        np.testing.assert_allclose(shown(page)[0], expected, atol=1e-4)
        assert "pixels agree" in page.locator("#own-result").inner_text()


def test_a_part_of_a_large_grey_image(explored, open_page, tmp_path):
    one = explored["alloy"]
    tiles = np.block([[one.images[0], one.images[1]], [one.images[2], one.images[3]]])
    grey = np.where(tiles, 200, 90) + np.random.default_rng(0).integers(-20, 21, tiles.shape)
    iio.imwrite(tmp_path / "grey.png", grey.astype(np.uint8))
    page = open_page(one)
    page.set_input_files("#file", tmp_path / "grey.png")
    page.locator("#own-column").fill("64")
    page.locator("#own-row").fill("999")
    page.locator("#own-row").blur()
    z, _ = shown(page)
    # Moved inside: rows 64 … 127.
    assert page.locator("#own-row").input_value() == "64"
    expected = latent.z_of_image(one.model, encode_phases(one.images[3], 2))
    np.testing.assert_allclose(z, expected, atol=1e-4)
    page.locator("#own-swap").check()
    expected = latent.z_of_image(one.model, encode_phases(1 - one.images[3], 2))
    np.testing.assert_allclose(shown(page)[0], expected, atol=1e-4)
    assert page.locator("#own-threshold").is_visible()


def test_what_is_no_image_is_refused_in_words(explored, open_page, tmp_path):
    page = open_page(explored["alloy"])
    before, _ = shown(page)
    iio.imwrite(tmp_path / "small.png", np.eye(20, dtype=np.uint8) * 255)
    iio.imwrite(tmp_path / "stack.tif", np.eye(64, dtype=np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    iio.imwrite(tmp_path / "plain.png", np.full((64, 64), 7, np.uint8))
    for name, words in {
        "small.png": "20 × 20 pixels; at least 64 × 64",
        "stack.tif": "TIFF",
        "text.png": "can't be read",
        "plain.png": "one value",
    }.items():
        drop(page, tmp_path / name)
        wait_for_text(page, "own-alert", words)
    np.testing.assert_array_equal(shown(page)[0], before)


@pytest.mark.parametrize("near", [True, False])
def test_a_wanted_volume_fraction_is_found(near, explored, open_page):
    one = explored["alloy"]
    z = one.farthest(0.9, phase=1)
    page = open_page(one, start_at(z))
    before, labels = shown(page)
    np.testing.assert_array_equal(before, z)
    assert abs(labels.mean() - 0.9) > 0.01
    page.locator("#near").set_checked(near)
    page.fill("#fraction", "0.9")
    page.press("#fraction", "Enter")
    wait_for_text(page, "found", "tried")
    _, labels = shown(page)
    assert labels.mean() == pytest.approx(0.9, abs=0.001)
    assert fraction_told(page) == pytest.approx(0.9, abs=0.001)
    page.fill("#fraction", "2")
    page.press("#fraction", "Enter")
    assert page.locator("#fraction").evaluate("(field) => !field.validity.valid")
    page.click("#undo")
    assert page.locator("#redo").is_enabled()
    np.testing.assert_array_equal(shown(page)[0], z)


def test_a_fraction_that_is_shown_already_changes_nothing(explored, open_page):
    one = explored["alloy"]
    page = open_page(one, start_at(one.z[0]))
    z, labels = shown(page)
    page.fill("#fraction", f"{labels.mean():.4f}")
    page.press("#fraction", "Enter")
    wait_for_text(page, "found", "the structure shown has it already")
    assert f"φ = {labels.mean():.4f}" in page.locator("#found").inner_text()
    assert page.locator("#find-button").inner_text() == "Find"
    np.testing.assert_array_equal(shown(page)[0], z)
    assert not page.locator("#undo").is_enabled()


def test_a_fraction_out_of_reach_is_called_so(explored, open_page):
    page = open_page(explored["alloy"])
    page.fill("#fraction", "0.1")
    page.click("#find-button")
    wait_for_text(page, "found", "nearest")
    low = explored["alloy"].content["samples"]["phases"]["1"]["range"][0]
    assert f"the least had {low:.3f}" in page.locator("#found").inner_text()


def test_of_three_phases_one_is_chosen(explored, open_page):
    one = explored["composite"]
    page = open_page(one, start_at(one.farthest(0.2, phase=2)))
    page.select_option("#phase", "2")
    page.fill("#fraction", "0.2")
    page.press("#fraction", "Enter")
    wait_for_text(page, "found", "tried")
    _, labels = shown(page)
    assert (labels == 2).mean() == pytest.approx(0.2, abs=0.001)
    assert "phase=2" in page.evaluate("location.hash")


def test_every_control_has_a_name(explored, open_page):
    one = explored["composite"]
    page = open_page(one)
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(one)})
    page.click("#pin-a")
    page.click("#pin-b")
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    wait(page, "page.interpolation.next === STEPS")
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "spinbutton", "combobox", "checkbox", "image", "group"}
    roles |= {"region", "alert"}
    found = set()
    for node in tree:
        role = node.get("role", {}).get("value")
        if node["ignored"] or role not in roles - {"group", "alert"}:
            continue
        found.add(role)
        assert node["name"]["value"].strip(), node
    assert {"button", "slider", "spinbutton", "combobox", "checkbox", "image"} <= found
    assert page.locator("[aria-live=polite]").count() == 1


def png(one):
    return iio.imwrite("<bytes>", to_grey(one.images[0], one.n_phases), extension=".png")


def test_keys_reach_every_control_and_show_where_they_are(explored, open_page):
    page = open_page(explored["alloy"])
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
              const now = document.activeElement;
              const shown = now.type === "file" ? now.nextElementSibling : now;
              return [now.id || now.className || now.tagName, getComputedStyle(shown).outlineStyle];
            }"""
        )
        seen.append(name)
        assert outline == "solid" or name == "BODY", name
    wanted = {
        "theme",
        "random",
        "save-png",
        "copy",
        "fraction",
        "find-button",
        "zero",
        "file",
        "pin-a",
    }
    assert wanted <= set(seen)


@pytest.mark.parametrize("view", VIEWS)
def test_it_looks_right(view, explored, open_page, pictures):
    one = explored["composite"]
    page = open_page(one, **VIEWS[view])
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(one)})
    page.click("#pin-a")
    page.click("#random")
    page.click("#pin-b")
    wait(page, "page.interpolation.next === STEPS")
    shown(page)
    # Nothing sticks out sideways.
    width = VIEWS[view]["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(13, 17, 23)" if view == "dark" else "rgb(255, 255, 255)")
    drawn = page.evaluate(
        """() => {
          const { width, height } = page.chart.canvas;
          return page.chart.context.getImageData(0, 0, width, height).data.some((value) => value);
        }"""
    )
    assert drawn
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=pictures / f"explorer-{view}.png", full_page=True)
    # The switch overrides what the system prefers.
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"


def test_the_page_as_readme_shows_it(explored, open_page, pictures, tmp_path):
    """README's picture is made by this test with DAVEGAN_ARTIFACTS=docs, where the alloy's micrograph is at hand."""
    one = explored["alloy"]
    page = SimpleNamespace(path=tmp_path / "alloy.html")
    explorer.write_explorer(page.path, one.model, one.run, one.run.read_manifest()["step"])
    page = open_page(page, start_at(one.z[0]), viewport={"width": 1280, "height": 1160})
    page.fill("#fraction", "0.87")
    page.press("#fraction", "Enter")
    wait_for_text(page, "found", "wanted 0.87; ")
    wait(page, "page.traversal.next === STEPS && !state.dirty")
    page.screenshot(path=pictures / "explorer.png")
    assert fraction_told(page) == pytest.approx(0.87, abs=1e-3)
