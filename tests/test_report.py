"""What somebody who opens or sends a report relies on."""

from __future__ import annotations

import html
import math
import re
import shutil
import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from realism.data.rows import Exhibit, Measure, Point, Reference, Skipped
from realism.report import format, gallery, plots, thumbnails
from realism.report.build import build
from realism.report.measures import headline, tables
from realism.report.view import ExhibitsView, PictureView, PromptView, ReportView, StepView

NAN = math.nan
NASTY = "<script>alert(1)</script> \"'>& ünï → 花 " + "w" * 200
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def paint(path: Path, size: tuple[int, int] = (64, 64), hue: int = 0) -> Path:
    image = Image.new("RGB", size, (40, 90 + hue % 100, 160))
    ImageDraw.Draw(image).ellipse(
        (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4), (240, hue % 255, 40)
    )
    image.save(path)
    return path


def measure(name: str, arm: str, group: str, value: float, half: float = NAN, **more: object) -> Measure:
    fields: dict[str, object] = {"n": 480, "control": "" if arm == "without" else "without"}
    return Measure(name, arm, group, value, value - half, value + half, **{**fields, **more})  # type: ignore[arg-type]


MEASURES = (
    measure("species", "without", "novel", 53 / 480, 0.035, detail={"reader": "garden 1.0"}),
    measure(
        "species", "zero-shot", "novel", 355 / 480, 0.04,
        difference=0.629, difference_low=0.59, difference_high=0.67, detail={"reader": "garden 1.0"},
    ),
    measure("species", "without", "known", 418 / 480, 0.03, detail={"reader": "garden 1.0"}),
    measure(
        "species", "zero-shot", "known", 420 / 480, 0.03,
        difference=0.004, difference_low=-0.027, difference_high=0.035, detail={"reader": "garden 1.0"},
    ),
    measure("kid", "without", "novel", 0.0312, higher_is_better=False, detail={"extractor": "judge", "real": 300}),
    measure(
        "kid", "zero-shot", "novel", 0.0519, higher_is_better=False, detail={"extractor": "judge", "real": 300},
        difference=0.0207, difference_low=0.018, difference_high=0.023,
    ),
)  # fmt: skip


@pytest.fixture
def view(tmp_path: Path) -> ReportView:
    """Two arms, six prompts of two groups, one picture gone, one broken, one never made, nasty texts everywhere."""
    prompts = []
    for i in range(6):
        reference = Reference(
            f"p{i}", 0, f"ref {i}", str(paint(tmp_path / f"ref{i}.png", (300, 200), i)), 0.8125, "rose",
            {"Licence": "CC BY 4.0", "source": "https://example.org/1", "author": NASTY, "url": "javascript:alert(1)"},
        )  # fmt: skip
        scores = {"species": 1.0, "clip_t": 0.31234}
        one = PictureView("without", 2**62 + i, paint(tmp_path / f"a{i}.png", hue=i), scores)
        path = paint(tmp_path / f"b{i}.png", (512, 512), i)
        two = PictureView("zero-shot", 2**62 + i, path, {"species": NAN}, (reference,))
        prompts.append(PromptView(f"p{i}", f"A rose, number {i}", "rose", "novel" if i % 2 else "known", (one, two)))
    (tmp_path / "b0.png").unlink()
    (tmp_path / "b1.png").write_text("no picture")
    prompts[2] = replace(prompts[2], pictures=prompts[2].pictures[:1])
    prompts[3] = replace(prompts[3], text=NASTY, subject=NASTY)
    return ReportView(
        name="garden/rag",
        fingerprint="4f1c22ab90d1",
        recipe=f"description: {NASTY}\n",
        description="Does a reference help?",
        arms=("without", "zero-shot"),
        prompts=tuple(prompts),
        prompt_count=480,
        measures=MEASURES,
        steps=(StepView("index", "01-index", 4.2, 1200, "images", 3), StepView("generate", "02", 0.0, 0, "pictures")),
        skipped=tuple(Skipped(f"db/{i}.jpg", "index", f"truncated {NASTY}") for i in range(50)),
        skipped_count=70,
        versions={"realism": "0.1.0", "torch": "2.11"},
        control="without",
    )


@pytest.fixture
def page(view: ReportView, tmp_path: Path) -> str:
    return build(view, tmp_path / "report.html").read_text(encoding="utf-8")


def words(page: str) -> str:
    """The page as a person reads it."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_needs_no_other_file_and_no_network(page: str) -> None:
    sources = re.findall(r'\b(?:src|srcset|data|poster|action)="([^"]*)"', page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert "<link" not in page and "@import" not in page and "url(" not in page
    assert "default-src 'none'; img-src data:" in html.unescape(page)


def test_texts_of_strangers_stay_texts(page: str) -> None:
    assert "<script>alert" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert 'href="javascript:' not in page
    assert "<script>alert(1)</script> \"'>& ünï → 花" in words(page)


def test_the_headline_says_what_changed_with_n_and_intervals(view: ReportView, page: str) -> None:
    said = words(page).replace("\u202f", " ")
    assert "species , novel: ▲ +63 points [+59, +67] better" in said
    assert "without 11 % [8, 15] → zero-shot 74 % [70, 78] (n = 480); the interval excludes 0" in said
    assert "3 differences to a control measured, 2 with a 95 % interval that excludes 0" in said
    assert headline(replace(view, measures=MEASURES[2:4])).findings[0].change.verdict == "within"
    only = build(replace(view, measures=MEASURES[2:4]), view.prompts[0].pictures[0].path.with_name("only.html"))
    assert "no clear difference" in words(only.read_text())


def test_a_loss_is_not_crowded_out_of_the_headline(view: ReportView) -> None:
    gains = [
        m
        for i in range(9)
        for m in (
            measure(f"m{i}", "without", "", 1.0, 0.1),
            measure(f"m{i}", "zero-shot", "", 3.0, 0.1, difference=2.0, difference_low=1.9, difference_high=2.1),
        )
    ]
    found = headline(replace(view, measures=(*gains, *MEASURES[-2:])))
    assert [finding.change.verdict for finding in found.findings] == ["better"] * 4 + ["worse"]
    assert (found.compared, found.beyond) == (10, 10)


def test_tables_give_value_interval_n_difference_and_what_decides_the_number(view: ReportView, page: str) -> None:
    species, kid = tables(view)
    assert (species.groups, [line.arm for line in species.lines]) == (("novel", "known"), ["without", "zero-shot"])
    cell = species.lines[1].cells[0]
    assert cell is not None and cell.change is not None
    assert (cell.value, cell.interval, cell.n) == ("74\u202f%", "[70, 78]", 480)
    assert (cell.change.text, cell.change.interval) == ("+63", "[+59, +67]")
    assert kid.notes == (("extractor", "judge"), ("real", "300"))
    worse = kid.lines[1].cells[0]
    assert worse is not None and worse.change is not None
    assert (worse.change.verdict, worse.change.arrow) == ("worse", "▲")
    assert "▲ +0.0207 [+0.0180, +0.0230] worse" in words(page)


def test_a_difference_within_its_interval_is_not_marked(view: ReportView) -> None:
    cell = tables(view)[0].lines[1].cells[1]
    assert cell is not None and cell.change is not None
    assert (cell.change.verdict, cell.change.arrow) == ("within", "")


def test_pictures_that_are_gone_broken_or_never_made_leave_a_note(page: str) -> None:
    said = words(page)
    assert "not there" in said and "cannot be read" in said and "none made" in said


def test_under_a_picture_are_its_seed_scores_and_references(page: str) -> None:
    said = words(page)
    assert "species 1 clip_t 0.312 without · seed 4611…904" in said
    assert f'title="seed {2**62}"' in page
    assert "no reference" in said and "its reference" in said
    assert "0.813 rose" in said or "0.812 rose" in said
    assert "CC BY 4.0" in said and 'href="https://example.org/1"' in page


def test_counts_say_how_much_is_not_shown(page: str) -> None:
    said = words(page)
    assert "Pictures 6 of 480 prompts" in said
    assert "The first 50 of 70" in said and "db/49.jpg" in said and "db/50.jpg" not in said
    assert "1,200 images" in said and "286" in said


def test_an_empty_run_still_makes_a_page(tmp_path: Path) -> None:
    nothing = ReportView("empty", "", "", "", (), (), 0, (), (), (), 0, {})
    said = words(build(nothing, tmp_path / "deep" / "report.html").read_text(encoding="utf-8"))
    assert "Nothing was measured" in said and "no pictures to show" in said and "0 prompts" in said


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf, 0.0, 1e300, -1e-300, 5e-324])
def test_no_number_breaks_the_page(value: float, view: ReportView, tmp_path: Path) -> None:
    odd = (
        measure("odd", "without", "", value, 0.0, n=0),
        measure("odd", "zero-shot", "", value, value, difference=value, difference_low=value, difference_high=value),
    )
    picture = PictureView("without", 0, tmp_path / "gone.png", {"odd": value})
    prompt = PromptView("p", "", "", "", (picture, picture))
    assert build(replace(view, measures=odd, prompts=(prompt,)), tmp_path / "odd.html").stat().st_size > 10_000


def test_only_shares_are_written_in_percent() -> None:
    assert format.Scale.of(MEASURES[:4]) == format.Scale(True, 0, 0)
    assert not format.Scale.of([measure("cosine", "a", "", 0.3127, 0.006)]).percent
    assert not format.Scale.of([measure("mean", "a", "", 0.5, 0.006, detail={"unit": "cosine"})]).percent
    assert format.Scale.of([measure("mean", "a", "", 0.5001, 0.006, detail={"unit": "share"})]).percent


def test_digits_follow_the_interval() -> None:
    scale = format.Scale.of([measure("cosine", "a", "", 0.31274, 0.0061)])
    assert [scale.value(0.31274), scale.interval(0.3066, 0.3188)] == ["0.313", "[0.307, 0.319]"]
    assert [scale.difference(d) for d in (-0.01327, 0.002, -0.00001)] == ["−0.013", "+0.002", "0.000"]
    assert [format.duration(s) for s in (0.84, 42.2, 184, 7500)] == ["0.8 s", "42 s", "3 min 04 s", "2 h 05 min"]
    assert [format.score(s) for s in (1.0, 0.31234, -12.345, NAN, 1e-9)] == ["1", "0.312", "−12.3", "–", "1e−09"]


def test_a_plot_keeps_every_dot_and_interval_inside_its_scale(view: ReportView) -> None:
    for table in tables(view):
        assert 3 <= len(table.plot.ticks) <= 7
        for strip in (strip for block in table.plot.blocks for strip in block.strips):
            assert all(0 <= at <= 100 for at in (strip.dot, strip.low, strip.high) if at is not None)
    assert plots.ticks(0.11, 0.87) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert plots.ticks(5.0, 5.0)[0] < 5 < plots.ticks(5.0, 5.0)[-1]


def test_a_photograph_is_called_one(view: ReportView, tmp_path: Path) -> None:
    first, *others = view.prompts
    real = replace(first, pictures=tuple(replace(one, seed=0) for one in first.pictures[:1]))
    said = words(build(replace(view, prompts=(real, *others)), tmp_path / "real.html").read_text())
    assert "· photograph" in said and "seed 0" not in said


def test_references_that_differ_by_seed_are_told_apart(view: ReportView) -> None:
    one = view.prompts[0].pictures[1]
    other = replace(one, seed=7, references=(replace(one.references[0], id="other"),))
    given = gallery.sheet(replace(view.prompts[0], pictures=(one, other)), view).given
    assert [each.seed for each in given[1]] == [one.seed, 7]


def test_thumbnails_are_small_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("CMYK", (1200, 800)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("I;16", (20, 10), 60000).save(tmp_path / "deep.png")
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    (tmp_path / "zero.png").touch()
    Image.new("1", (20_000, 2_600)).save(tmp_path / "wide.png")
    turned = thumbnails.thumbnail(tmp_path / "turned.jpg")
    assert (turned.width, turned.height, turned.tiny) == (171, 256, False)
    assert thumbnails.thumbnail(tmp_path / "deep.png").tiny
    assert thumbnails.thumbnail(tmp_path / "clear.png").uri.startswith("data:image/")
    assert thumbnails.thumbnail(tmp_path / "zero.png").missing == "cannot be read"
    assert thumbnails.thumbnail(tmp_path / "wide.png").missing == "too large to show"
    assert thumbnails.thumbnail(tmp_path).missing == "cannot be read"
    assert thumbnails.thumbnail(tmp_path / "gone.png").missing == "not there"


def by_class(arm: str, subject: str, value: float, difference: float = NAN) -> Measure:
    ends = {"difference_low": difference - 0.1, "difference_high": difference + 0.1}
    return measure("species", arm, subject, value, 0.1, n=10, difference=difference, detail={"by": "subject"}, **ends)


def test_many_classes_are_folded_and_those_that_gained_most_come_first(view: ReportView, tmp_path: Path) -> None:
    names = [f"species {i}" for i in range(24)]
    rows = [by_class("without", name, 0.2) for name in names]
    rows += [by_class("zero-shot", name, 0.2 + i / 100, i / 100) for i, name in enumerate(names)]
    [table, _] = tables(replace(view, measures=(*MEASURES, *rows)))
    assert table.groups == ("novel", "known"), "classes are not columns"
    [classes] = table.classes
    assert [name for name, _ in classes.lines] == names[::-1]
    assert headline(replace(view, measures=(*MEASURES, *rows))).compared == 3, "nor are they in the headline"
    page = build(replace(view, measures=(*MEASURES, *rows)), tmp_path / "classes.html").read_text()
    assert page.count("<details") == 3 and "By subject 24 of them, what zero-shot gained most first" in words(page)


def test_a_biased_distance_leaves_the_headline_to_an_unbiased_one(view: ReportView) -> None:
    moved = {"difference": 0.2, "difference_low": 0.1, "difference_high": 0.3, "higher_is_better": False}
    kid, fid = {"extractor": "judge"}, {"extractor": "judge", "bias": "few"}

    def shown(*details: tuple[str, dict[str, str]]) -> list[str]:
        rows = [measure(name, "without", "", 1.0, 0.1, detail=detail) for name, detail in details]
        rows += [measure(name, "zero-shot", "", 1.2, 0.1, detail=detail, **moved) for name, detail in details]
        return [finding.measure for finding in headline(replace(view, measures=tuple(rows))).findings]

    assert shown(("fid", fid), ("kid", kid)) == ["kid"]
    assert shown(("fid", fid)) == ["fid"]


def test_what_a_step_exhibits_is_shown_with_its_captions(view: ReportView, tmp_path: Path) -> None:
    images = [str(paint(tmp_path / "drawn.png")), str(tmp_path / "gone.png")]
    shown = (Exhibit("A rose", NASTY, images, ["drawn", "its negative"]),)
    page = build(replace(view, exhibits=(ExhibitsView("negatives", shown, 40),)), tmp_path / "exhibits.html")
    said = words(page.read_text())
    assert "Negatives 1 of 40" in said and "drawn not there its negative" in said
    assert "<script>alert" not in page.read_text()


def test_a_map_has_a_panel_a_group_and_a_legend(view: ReportView, tmp_path: Path) -> None:
    points = tuple(
        Point(float(i), float(i * i), kind, f"{kind}{i}", "rose", group)
        for i, (kind, group) in enumerate(
            [("without", "novel"), ("without", "known"), ("(retrieved r)", "novel"), ("(real images)", "")] * 3
        )
    )
    page = build(replace(view, projections=(("judge", points),)), tmp_path / "maps.html").read_text()
    said = words(page)
    assert "Features of judge t-SNE of 12 pictures (real images) 3 without 6 (retrieved r) 3" in said
    assert 'aria-label="Map of novel: 3 (real images), 3 without, 3 (retrieved r)"' in page
    assert 'aria-label="Map of known: 3 (real images), 3 without"' in page
    one = build(replace(view, projections=(("judge", points[:1]),)), tmp_path / "one.html").read_text()
    assert "NaN" not in one and "t-SNE of 1 picture" in words(one)


def test_memory_does_not_grow_with_the_number_of_prompts(view: ReportView, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        many = replace(view, prompts=tuple(view.prompts[4] for _ in range(count)))
        tracemalloc.start()
        build(many, tmp_path / f"{count}.html")
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(1)
    small, large = peak(10), peak(500)
    assert (tmp_path / "500.html").stat().st_size > 2**20
    assert large < small + 2**20


def in_chromium(folder: Path, width: int, script: str) -> str:
    """What `script` (an expression on `page`, the report's document) says in a frame of so many pixels; Chromium
    itself opens no window under 500."""
    (folder / "frame.html").write_text(
        f'<iframe src="report.html" style="width:{width}px;height:9000px;border:0"></iframe><p></p><script>onload=()=>'
        "{const page=document.querySelector('iframe').contentDocument;"
        f"document.querySelector('p').textContent='said: '+({script})+'.'}}</script>"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={folder}/chromium", "--window-size=1600,1000", "--virtual-time-budget=4000"]
    command = [str(CHROMIUM), *flags, "--dump-dom", (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"<p>said: (.*)\.</p>", done.stdout)
    assert found is not None, done.stderr[-2000:]
    return html.unescape(found[1])


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")


@needs_chromium
@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("width", [390, 1400])
def test_no_sideways_scrolling_on_a_phone_or_a_screen(width: int, tmp_path: Path) -> None:
    root = "page.documentElement"
    inside, frame = in_chromium(tmp_path, width, f"{root}.scrollWidth+' '+{root}.clientWidth").split()
    assert int(inside) <= int(frame) <= width


@needs_chromium
@pytest.mark.usefixtures("page")
def test_filters_and_enlarging_work_under_the_policy_of_the_page(tmp_path: Path) -> None:
    act = (
        "page.querySelector('input[value=g1]').click(),"
        "page.querySelectorAll('.shot')[0].click(),"
        "page.querySelector('output').textContent+'; '+page.querySelector('dialog').open"
    )
    assert in_chromium(tmp_path, 900, act) == "3 of 6 match; true"
