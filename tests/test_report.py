"""The report page: whole, self-contained, and saying what the result says."""

import base64
import copy
import itertools
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import imageio.v3 as iio
import numpy as np
import pytest
from scipy import ndimage

from davegan_tf import inline_svg, measures, report, report_text
from davegan_tf.errors import InputError
from davegan_tf.evaluation import evaluate
from davegan_tf.evaluation_table import HEAD, LABELS, format_table, rows
from davegan_tf.figures import to_grey
from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.report import Pictures, write_report
from davegan_tf.scorecard import STATISTICS

SIDE = 16
NASTY = """<script>alert("1")</script> & 'x' $a_1$"""
VOID = {"meta", "img", "br", "path", "circle", "use", "rect"}


class Page(HTMLParser):
    """Elements of a page in order, each as (tag, attributes, text within); faulty nesting is an error."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.declared = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {[tag for tag, *_ in self.open]}"

    def handle_decl(self, decl):
        self.declared.append(decl)

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute twice: {attributes}"
        element = (tag, dict(attributes), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        for _, _, texts in self.open:
            texts.append(data)

    def all(self, tag, **attributes):
        """(attributes, text) of the elements of a kind; class_="a" has the class a among others."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            (has, "".join(texts))
            for name, has, texts in self.elements
            if name == tag and all(v in (has.get(k) or "").split() for k, v in wanted.items())
        ]

    def text(self):
        return "".join(self.elements[0][2])

    def images(self):
        """Alternative text → pixels."""
        images = {}
        for attributes, _ in self.all("img"):
            kind, _, code = attributes["src"].partition(",")
            assert kind == "data:image/png;base64"
            png = base64.b64decode(code, validate=True)
            assert png.startswith(b"\x89PNG")
            assert attributes["alt"] not in images
            images[attributes["alt"]] = iio.imread(png)
        return images

    def cells(self, subject, name):
        """Classes and texts of the cells of a measure's row."""
        index = next(
            i
            for i, (_, attributes, _) in enumerate(self.elements)
            if attributes.get("id") == f"{subject}-{name}"
        )
        cells = []
        for tag, attributes, texts in self.elements[index + 1 :]:
            if tag == "tr":
                break
            if tag in ("th", "td"):
                cells.append((attributes.get("class", ""), "".join(texts)))
        return cells


def material(n_phases=2, shape=(64, 64), seed=0):
    """Smoothed noise cut at quantiles: a random material with structure of about 4 pixels."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    limits = np.quantile(field, np.linspace(0, 1, n_phases + 1)[1:-1])
    return np.digitize(field, limits).astype(np.uint8)


def tiles(micrograph):
    rows, columns = (size // SIDE for size in micrograph.shape)
    cut = micrograph[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE)


def case(n_phases=2, shape=(64, 64), count=40):
    """A result, as read from its file, and its pictures; the samples are another piece of the material."""
    rng = np.random.default_rng(1)
    micrograph = material(n_phases, shape)
    originals = tiles(micrograph)
    reconstructed = np.where(rng.random(originals.shape) < 0.02, 0, originals)
    generated = tiles(material(n_phases, (128, 128), seed=3))[:count]
    result = evaluate(micrograph[None], reconstructed, generated, n_phases=n_phases)
    result = {"data": "grains", "step": 1234, **result}
    fractions = measures.phase_fractions(originals, n_phases).mean(axis=0)
    pictures = Pictures(
        originals=originals,
        reconstructed=reconstructed,
        generated=generated,
        crops=tiles(material(n_phases, (128, 128)))[:48],
        noise=measures.white_noise(fractions, generated.shape, rng),
        training=micrograph[None],
        n_phases=n_phases,
    )
    return json.loads(json.dumps(result)), pictures


@pytest.fixture(scope="module")
def grains():
    return case()


@pytest.fixture(scope="module")
def page(grains):
    return Page(report.report(*grains, title="runs/grains", paper={"E_rec": 1.25e-4}))


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "runs" / "history.csv"
    path.parent.mkdir()
    lines = [f"{epoch},{10 / epoch},{epoch % 3}" for epoch in range(1, 30)]
    path.write_text("\n".join(["epoch,kl_loss,discriminator_loss", *lines]) + "\n")
    return path


def changed(result, subject="samples", name="E_gen", **values):
    """A copy of the result with another record and the verdict that follows."""
    result = copy.deepcopy(result)
    result[subject][name] |= values
    return with_verdict(result)


def with_verdict(result):
    verdicts = {
        f"{subject}.{name}": record["passed"]
        for subject in ("reconstructions", "samples")
        for name, record in result[subject].items()
        if record["passed"] is not None
    }
    failed = [name for name, passed in verdicts.items() if not passed]
    result["verdict"] = {"passed": not failed, "failed": failed, "measures": len(verdicts)}
    return result


def test_page_needs_no_other_file_and_no_script(page):
    for tag, attributes, _ in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "image")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/png;base64,", "#"))
            if not name.startswith("xmlns"):
                assert "://" not in (value or "") and "url(h" not in (value or "")
    (style,) = page.all("style")
    assert "http" not in style[1] and "url(" not in style[1] and "@import" not in style[1]


def test_page_is_well_formed(page):
    assert page.declared == ["DOCTYPE html"]
    assert page.elements[0][1]["lang"] == "en"
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(next_ <= level + 1 for level, next_ in itertools.pairwise(levels))
    for attributes, _ in page.all("svg"):
        assert attributes["role"] == "img" and attributes["aria-label"]
    # What a curve refers to is there, under the name it has on this page.
    for _, attributes, _ in page.elements:
        for value in (attributes.get("xlink:href", ""), attributes.get("clip-path", "")):
            if found := re.search(r"#([^)]+)", value):
                assert found[1] in ids


def test_every_colour_is_defined_for_light_and_dark(page):
    light, dark = re.findall(r":root \{(.*?)\}", report_text.STYLE, flags=re.DOTALL)
    used = set(re.findall(r"var\((--[a-z-]+)\)", str(page.elements) + report_text.STYLE))
    assert used - {"--columns", "--tile"} == set(re.findall("--[a-z-]+(?=:)", light))
    assert set(re.findall("--[a-z-]+(?=:)", dark)) == set(re.findall("--[a-z-]+(?=:)", light))


def test_pictures_are_the_images_pixel_by_pixel(page, grains):
    result, pictures = grains
    images = page.images()
    assert {image.shape for image in images.values()} == {(SIDE, SIDE)}
    shown = {
        "Original of tile 3": pictures.originals[3],
        "Reconstruction of tile 3": pictures.reconstructed[3],
        "Sample 31": pictures.generated[31],
        "Real crop 15": pictures.crops[15],
        "White noise 15": pictures.noise[15],
    }
    for name, labels in shown.items():
        np.testing.assert_array_equal(images[name], to_grey(labels, 2))
    nearest = len(result["nearest"])
    assert nearest == 8
    # A sample among the nearest has its picture there, too, under another text.
    assert len(images) == 2 * 16 + 32 + 16 + 16 + 2 * nearest
    for attributes, _ in page.all("img"):
        assert int(attributes["width"]) % SIDE == 0
    alike = np.mean(pictures.originals[3] == pictures.reconstructed[3])
    assert f"tile 3: {100 * alike:.1f} % of pixels alike" in page.text()


def test_every_measure_has_a_row_with_the_numbers_of_the_result(page, grains):
    result, _ = grains
    table = iter(rows(result, {"E_rec": 1.25e-4}))
    heads = [text for attributes, text in page.all("th", scope="col")]
    assert len(heads) == len(HEAD) + 1
    assert heads[3:] == [name for name in report_text.COLUMNS if name != "verdict"]
    count = 0
    for subject in ("reconstructions", "samples"):
        assert next(table)[0] in page.text()
        for name, record in result[subject].items():
            (_, label), (mark, word), (_, drawn), *numbers = page.cells(subject, name)
            _, *cells, verdict = next(table)
            assert label.startswith(LABELS[name])
            assert [text for _, text in numbers] == cells
            assert (word, mark.split()[-1]) == {
                True: ("PASS", "pass"),
                False: ("FAIL", "fail"),
                None: ("–", "none"),
            }[record["passed"]]
            assert verdict in ("", word)
            assert not drawn
            count += 1
    assert count == len(LABELS) + len(STATISTICS)
    assert "1.25e-04" in [text for _, text in page.cells("reconstructions", "E_rec")]
    density = result["samples"]["interface_density"]
    (_, label), *_ = page.cells("samples", "interface_density")
    assert f"{density['images']['']:.3g}, real {density['real']['']:.3g}" in label
    euler = result["samples"]["euler_number"]
    (_, label), *_ = page.cells("samples", "euler_number")
    assert f"phase 1: {euler['images']['1']:.3g}, real {euler['real']['1']:.3g}" in label
    assert f"ratio {euler['per_phase']['1']:.3g}" in label


def test_verdict_is_a_word_a_colour_and_a_sentence(grains, no_curves):
    result, pictures = grains
    failed = changed(result, value=1.0, ratio=7.0, passed=False)
    passed = copy.deepcopy(result)
    nothing = copy.deepcopy(result)
    for subject in ("reconstructions", "samples"):
        for records, verdict in ((passed, True), (nothing, None)):
            for record in records[subject].values():
                record["passed"] = verdict
    for case, word, kind, sentence in (
        (failed, "FAIL", "fail", "E_gen (samples)"),
        (with_verdict(passed), "PASS", "pass", f"all {len(LABELS) + len(STATISTICS)} measures."),
        (with_verdict(nothing), "NO VERDICT", "none", "Nothing can be judged."),
    ):
        page = Page(report.report(case, pictures, title="t"))
        ((attributes, text),) = page.all("div", class_="verdict")
        assert attributes["class"].split() == ["verdict", kind]
        assert page.all("p", class_="word")[0][1] == word
        assert sentence in text
        undecided = {
            "FAIL": "1: pixels as in the original (reconstructions)",
            "NO VERDICT": "28, see the table",
        }
        assert (f"Without a verdict: {undecided.get(word)}." in text) == (word != "PASS")
    assert "–" in [text for _, text in page.cells("samples", "E_gen")]


def test_texts_from_outside_are_texts(grains, tmp_path):
    result, pictures = grains
    named = {**result, "data": NASTY}
    pictures = Pictures(**{**vars(pictures), "pixel_size": 0.5, "unit": NASTY})
    path = tmp_path / "report.html"
    write_report(path, named, pictures, title=NASTY)
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    page = Page(text)
    assert [text for _, text in page.all("title")] == [NASTY]
    assert [text for _, text in page.all("h1")] == [NASTY]
    assert page.text().count(NASTY) > 5
    assert f"0.5 {NASTY}" in page.text()
    assert f"chord length ({NASTY})" in page.text()


def test_the_share_of_mirrored_samples_stands_beside_the_memorised_share(grains, no_curves):
    result, pictures = grains
    mirrored = changed(result, name="memorisation", mirrored=0.125)
    (_, label), *_ = Page(report.report(mirrored, pictures, title="t")).cells(
        "samples", "memorisation"
    )
    assert label == "memorised sharemirrored: 0.125"
    assert "memorised share (0.125 mirrored)" in format_table(mirrored)


def test_the_error_of_disjoint_crops_stands_beside_that_of_samples(grains, no_curves):
    result, pictures = grains
    other = changed(result, disjoint=0.125)
    (_, label), *_ = Page(report.report(other, pictures, title="t")).cells("samples", "E_gen")
    assert label == "E_gendisjoint crops: 0.125"
    assert "E_gen (0.125 disjoint crops)" in format_table(other)


def test_records_without_numbers_are_dashes(grains, no_curves):
    result, pictures = grains
    empty = dict.fromkeys(result["samples"]["coverage"])
    for name in ("coverage", "memorisation", "diversity"):
        result = changed(result, name=name, **dict.fromkeys(result["samples"][name]))
    result["samples"]["percolation"] |= {"ratio": None, "interval": None, "noise_ratio": None}
    result["samples"]["percolation"]["per_phase"] = {"0": None, "1": 3.0}
    result["nearest"] = []
    page = Page(report.report(result, pictures, title="t"))
    assert empty["value"] is None
    _, *cells = page.cells("samples", "coverage")
    assert [text for _, text in cells] == ["–", "", *["–"] * 8]
    (_, label), _, (_, drawn), *_ = page.cells("samples", "percolation")
    assert label == "percolationphase 1: ratio 3" and not drawn
    assert "None" not in page.text() and "nan" not in page.text()
    assert "most like the training data" not in page.text()


def test_three_phases_have_three_greys_and_curves_each():
    result, pictures = case(3, count=8)
    page = Page(report.report(result, pictures, title="t"))
    grey = page.images()["Original of tile 0"]
    np.testing.assert_array_equal(grey, to_grey(pictures.originals[0], 3))
    headings = [text for _, text in page.all("figcaption")]
    for phase in range(3):
        assert f"Two-point correlation S₂, phase {phase}" in headings
        assert f"Percolation, phase {phase}" in headings
    (_, label), *_ = page.cells("samples", "volume_fraction")
    assert "phase 0: " in label and "phase 2: " in label


def test_micrograph_of_a_single_tile_has_statistics_without_a_floor():
    result, pictures = case(shape=(SIDE, SIDE), count=4)
    record = result["samples"]["euler_number"]
    assert record["floor"] is None and record["value"] is not None
    page = Page(report.report(result, pictures, title="t"))
    cells = [text for _, text in page.cells("samples", "euler_number")]
    assert cells[1:3] == ["–", ""] and cells[3] != "–" and cells[5] == "–"
    assert "Without a verdict: " in page.text()
    assert "1 tile and 8 crops of the micrograph, 4 samples" in page.text()


def test_ratio_is_drawn_right_of_the_limit_where_it_fails():
    def drawn(name="E_gen", **values):
        record = {"interval": None, "noise_ratio": None, "floor": None, **values}
        svg = report._ratio_drawn(name, record)
        x = [float(x) for x in re.findall(r'cx="([\d.]+)"', svg)]
        return float(re.search(r"M([\d.]+) 2V22", svg)[1]), x, svg

    (limit, (dot,), svg) = drawn(ratio=1.9)
    assert dot < limit and "ratio 1.9, limit 2" in svg
    (limit, (noise, dot), svg) = drawn(ratio=2.1, noise_ratio=40.0, interval=[1.5, 5])
    assert limit < dot < noise < 120
    low, high = map(
        float, re.search(r"M([\d.]+) 12H([\d.]+)\" stroke=\"currentColor\"", svg).groups()
    )
    assert low < limit < dot < high < noise
    # On a logarithmic scale of three decades; what is off the scale is at its end.
    assert dot == pytest.approx(5 + 110 * math.log10(21) / 3, abs=0.06)
    assert drawn(ratio=0.0)[1] == drawn(ratio=0.1)[1] == [5]
    assert drawn(ratio=1e9)[1] == drawn(ratio=100.0)[1] == [115]
    # Diversity has a limit of its own, on the value: ratios are floor over value.
    floor = {"mean": 0.96, "std": 0.0}
    for value in (LEAST_DIVERSITY - 0.05, LEAST_DIVERSITY + 0.05):
        limit, (dot,), _ = drawn("diversity", ratio=0.96 / value, floor=floor)
        assert (dot < limit) == (value > LEAST_DIVERSITY)
    assert report._ratio_drawn("E_gen", {"ratio": None}) == ""


def test_nearest_pairs_are_sample_and_what_it_was_copied_from(grains, no_curves):
    _, pictures = grains
    generated = pictures.generated.copy()
    piece = pictures.training[0, 5 : 5 + SIDE, 9 : 9 + SIDE]
    tile = pictures.training[0, SIDE : 2 * SIDE, 2 * SIDE : 3 * SIDE]
    generated[7], generated[2] = piece, np.roll(tile, (3, 5), axis=(0, 1))
    generated[9] = pictures.training[0, 20 : 20 + SIDE, 3 : 3 + SIDE][::-1, ::-1]
    result = evaluate(pictures.training, pictures.reconstructed, generated, n_phases=2, turned=True)
    pictures = Pictures(**{**vars(pictures), "generated": generated})
    page = Page(report.report(result, pictures, title="t"))
    captions = [text for _, text in page.all("figcaption") if text.startswith("sample")]
    assert captions[0].startswith(
        "sample 2: 0.0 % of pixels differ from row 16, column 32, shifted by 3 rows"
    )
    assert captions[1] == (
        "sample 7: 0.0 % of pixels differ from row 5, column 9; relative distance 0.00, counted as memorised"
    )
    assert captions[2].startswith(
        "sample 9: 0.0 % of pixels differ from row 20, column 3, turned by 180°; relative"
    )
    images = page.images()
    for number in (2, 7, 9):
        for name in ("Sample {} again", "Training data most like sample {}"):
            np.testing.assert_array_equal(
                images[name.format(number)], to_grey(generated[number], 2)
            )
    last = result["nearest"][-1]
    assert f"sample {last['sample']}: {100 * last['distance']:.1f} %" in captions[-1]
    assert f"relative distance {last['relative']:.2f}" in captions[-1]
    threshold = result["samples"]["memorisation"]["threshold"]
    assert f"One real crop in a hundred is nearer than {threshold:.2f}" in page.text()
    # The threshold lies between pixels that differ and those over what chance gives.
    threshold = (last["distance"] + last["relative"]) / 2
    page = Page(
        report.report(
            changed(result, name="memorisation", threshold=threshold), pictures, title="t"
        )
    )
    memorised = [
        text.endswith("memorised") for _, text in page.all("figcaption") if "relative" in text
    ]
    assert memorised == [pair["relative"] < threshold for pair in result["nearest"]]
    assert memorised[0] and not memorised[-1]


def test_losses_are_drawn_if_there_is_a_history(grains, no_curves, history):
    page = Page(report.report(*grains, title="t", history=history))
    ((_, drawn),) = page.all("figure", class_="losses")
    assert "(d) KL loss of the encoder" in drawn and "epoch" in drawn
    without = Page(report.report(*grains, title="t"))
    assert not without.all("figure", class_="losses")
    assert "Figure 5" not in without.text()


def test_facts_name_data_step_seed_and_counts(page, grains):
    facts = [text for _, text in page.all("dd")][:5]
    assert facts == [
        "grains",
        "1234",
        "0",
        "16 × 16 pixels, 2 phases",
        "16 tiles and 80 crops of the micrograph, 40 samples",
    ]
    assert "majority" not in page.text()


def test_holdout_and_filter_are_named(grains, no_curves):
    result, pictures = grains
    page = Page(report.report({**result, "holdout": True, "filter": 3}, pictures, title="t"))
    assert "majority, size 3" in page.text()
    assert "of the held-out part of the micrograph" in page.text()
    assert "Reconstructions of 16 held-out tiles" in page.text()


def test_every_measure_and_column_is_explained():
    assert report_text.MEASURES.keys() == LABELS.keys()
    assert len(report_text.COLUMNS) == len(HEAD) - 1
    with_own_name = {"value", "paper", "floor", "noise", "ratio"}
    assert with_own_name <= report_text.COLUMNS.keys() & set(HEAD)


def test_curves_follow_the_pages_colours_and_keep_their_numbers():
    svg = """<?xml version="1.0"?><!DOCTYPE svg><svg width="9pt" viewBox="0 0 9 9" xmlns="s"><metadata>m</metadata>
<defs><style>* {a: b}</style></defs>
<g id="axes_1"><path d="M 1.23456 2" clip-path="url(#p1)" style="stroke: #d55e00"/></g>
<use xlink:href="#m2" style="fill: #123456"/>
<text style="font-size: 9px; font-family: 'DejaVu Sans', serif; fill: #000000">0.12345 #d55e00</text></svg>"""
    inline = inline_svg.inline(svg, "a", 'say "x"')
    assert inline.startswith('<svg viewBox="0 0 9 9" role="img" aria-label="say &quot;x&quot;">')
    for part in (
        'id="a-axes_1"',
        "url(#a-p1)",
        'href="#a-m2"',
        'd="M 1.23 2"',
        "stroke: var(--samples)",
        "fill: #123456",
        "font-size: 9px; fill: var(--ink)",
        ">0.12345 #d55e00<",
    ):
        assert part in inline
    assert "metadata" not in inline and "style>" not in inline and "DejaVu" not in inline


def test_page_is_small_and_the_same_every_time(grains, history):
    first, second = (report.report(*grains, title="t", history=history) for _ in range(2))
    assert first == second
    assert len(first) < 600_000


def test_nothing_is_left_behind_when_writing_fails(grains, no_curves, tmp_path):
    path = tmp_path / "out" / "report.html"
    with pytest.raises(InputError, match="no-history"):
        write_report(path, *grains, title="t", history=tmp_path / "no-history.csv")
    assert not list(tmp_path.rglob("*.html"))
    write_report(path, *grains, title="old")
    old = path.read_bytes()
    with pytest.raises(InputError, match="no-history"):
        write_report(path, *grains, title="new", history=tmp_path / "no-history.csv")
    assert path.read_bytes() == old
    folder = tmp_path / "folder.html"
    folder.mkdir()
    with pytest.raises(OSError):
        write_report(folder, *grains, title="t")
    assert sorted(tmp_path.rglob("*")) == sorted([path.parent, path, folder])


def test_report_needs_no_tensorflow(no_tensorflow):
    command = [sys.executable, "-c", "import davegan_tf.report"]
    subprocess.run(command, check=True, env=no_tensorflow)
