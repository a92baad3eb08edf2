"""The report page, without a browser: what it says, and that nothing untrusted becomes markup."""

from __future__ import annotations

import json
import re
import stat
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from listwise.cli import cli
from listwise.errors import InputError
from listwise.eval.report.entries import Cost, Entry, Score, entries
from listwise.eval.report.findings import Findings, usd_words
from listwise.eval.report.folder import Folder, System, read_folder
from listwise.eval.report.markup import VOID, Markup, data, joined, tag
from listwise.eval.report.page import allowed_bytes, page_of
from listwise.eval.report.plane import Plane, labels, tick_step
from listwise.eval.report.queries import cut, index, records
from listwise.eval.report.studies import study
from listwise.eval.statistics import Interval
from tests.eval.results_folder import HOSTILE, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("made")
        patch.setenv("LISTWISE_CACHE", str(place / "cache"))
        patch.setenv("LISTWISE_LEDGER", str(place / "ledger.db"))
        return make(place / "results", 5, collections=("one", "two"))


@pytest.fixture(scope="module")
def folder(made: Path) -> Folder:
    return read_folder(made)


@pytest.fixture(scope="module")
def page(folder: Folder) -> str:
    return page_of(folder)


class Elements(HTMLParser):
    """Checks that elements are closed in order, and collects them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def entry(name: str, values: Sequence[float], usd: float | None, *, simulated: bool = False) -> Entry:
    mean = sum(values) / len(values)
    by_query = {str(at): value for at, value in enumerate(values)}
    score = Score(Interval(mean, mean - 0.1, mean + 0.1), by_query, 0.9, None, None, None, None)
    system = System(name, "c", "llm", name, simulated=simulated)
    cost = None if usd is None else Cost(usd, 100, 1, 20, 0.5)
    return Entry(name, (system,), {"nDCG@10": score}, cost)


def found(*shown: Entry, simulated: bool = False) -> Findings:
    return Findings("c", "nDCG@10", 4, shown, simulated=simulated)


DEAR = entry("dear", (0.9, 0.8, 0.9, 0.8), 0.01)
CLOSE = entry("close", (0.95, 0.7, 0.85, 0.85), 0.002)
CHEAP = entry("cheap", (0.5, 0.4, 0.5, 0.4), 0.0001)
UNPRICED = entry("unpriced", (0.6, 0.6, 0.6, 0.6), None)
MADE_UP = entry("made up", (1.0, 1.0, 1.0, 1.0), 0.003, simulated=True)


def test_what_is_best_and_what_is_as_good_for_less() -> None:
    told = found(CHEAP, DEAR, CLOSE, UNPRICED, MADE_UP)
    assert [each.label for each in told.ranked] == ["dear", "close", "unpriced", "cheap"]
    assert [each.label for each, _ in told.as_good] == ["close"]
    assert told.cheapest is not None
    assert told.cheapest[0] is CLOSE
    assert [each.label for each in told.frontier] == ["cheap", "close", "dear"]
    best, as_good, ceiling = told.cards()
    assert best.words.startswith("nDCG@10 0.850 (95 % interval 0.750 to 0.950). It costs $10.00 for 1,000 queries.")
    assert as_good.heading == "As good, for less"
    assert "It costs $2.00 for 1,000 queries" in as_good.words
    assert "0.900" in ceiling.words
    assert "94%" in ceiling.words


def test_what_cannot_be_said_is_not_said() -> None:
    assert list(found(MADE_UP).cards()) == []
    alone = list(found(UNPRICED).cards())
    assert [card.heading for card in alone] == ["Best", "Ceiling"]
    assert "not recorded" in alone[0].words
    worse = list(found(DEAR, CHEAP).cards())
    assert worse[1].words.startswith("No other system")
    dearer = list(found(CLOSE, DEAR).cards())
    assert dearer[0].entry is DEAR
    assert "no dollars" in next(iter(found(entry("free", (0.3, 0.3), 0.0)).cards())).words
    assert next(iter(found(MADE_UP, simulated=True).cards())).words.endswith("(made up).")


def test_seeds_are_put_together(folder: Folder) -> None:
    shown = {each.label: each for each in entries(folder, "one")}
    group = shown["sliding on sim/strong"]
    assert [system.seed for system in group.members] == [0, 1]
    means = [folder.figures["one", system.system, "nDCG@10"].mean for system in group.members]
    assert group.scores["nDCG@10"].interval.mean == pytest.approx(sum(means) / 2)
    by_query = group.scores["nDCG@10"].by_query
    assert sum(by_query.values()) / len(by_query) == pytest.approx(sum(means) / 2)
    assert group.scores["nDCG@10"].p == folder.figures["one", "sliding on sim/strong", "nDCG@10"].p_corrected
    assert group.name == "sliding on sim/strong (simulated)"
    bills = [folder.bills["one", system.system] for system in group.members]
    assert group.cost is not None
    assert group.cost.usd == pytest.approx(float(sum(bill.usd for bill in bills)) / 2 / 5)
    assert shown["BM25"].cost == Cost(0, 0, 0, 0, None)
    assert shown["recorded LLM"].cost is None


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    elements = Elements(page)
    names = [name for name, _ in elements.found]
    assert not {"link", "img", "iframe", "object"} & set(names)
    addresses = [value for _, each in elements.found for key, value in each.items() if key in ("src", "href")]
    assert all(str(address).startswith("#") for address in addresses)
    assert "url(" not in page.partition("<script")[0]
    assert names.count("h1") == names.count("main") == names.count("nav") == 1
    assert "made-up" in elements.text
    for collection in ("one", "two"):
        assert f"{collection}: nDCG@10 on 5 judged queries" in elements.text
    ids = [each["id"] for _, each in elements.found if "id" in each]
    assert len(ids) == len(set(ids))
    named = {str(each["href"])[1:] for name, each in elements.found if name == "a"}
    assert named <= set(ids)


def test_nothing_untrusted_becomes_markup_or_stays_invisible(page: str) -> None:
    assert HOSTILE not in page
    assert "<script>alert" not in page
    assert "<i>odd" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    scripts = re.findall(r"<script([^>]*)>", page)
    assert scripts.count("") == 1
    assert all('type="application/json"' in each for each in scripts if each)


def test_every_simulated_line_is_marked(page: str) -> None:
    body = page.split("<main", 1)[1].split("</main>", 1)[0]
    rows = [row for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL) if "on sim/" in row]
    assert len(rows) > 20
    assert all("simulated" in re.sub(r"<[^>]*>", "", row) for row in rows)
    assert all("(simulated)" in text for text in re.findall(r"<text[^>]*>([^<]*on sim/[^<]*)", body))


def test_records_hold_what_was_read_and_moved(made: Path, folder: Folder) -> None:
    told = list(records(folder, "one"))
    where = index(folder)["collections"]["one"]
    names = [each["name"] for each in where["systems"]]
    at = names.index("sliding on sim/weak")
    traced = [
        json.loads(line) for line in (made / "traces/one/sliding_on_sim-weak_seed=0.jsonl").read_text().splitlines()
    ]
    for qid, record in zip(where["qids"], told, strict=True):
        windows = [window for window in traced if window["qid"] == qid]
        shown = record["systems"][at]
        assert len(shown["windows"]) == len(windows)
        for ours, theirs in zip(shown["windows"], windows, strict=True):
            docids = [record["docids"][number] for number in ours["shown"]]
            if "<i>odd</i>&" not in theirs["docids"]:
                assert docids == theirs["docids"]
            assert ours.get("order") == theirs["permutation"]
            answer = ours["answer"] if "answer" in ours else " > ".join(f"[{each + 1}]" for each in ours["order"])
            assert answer == theirs["answer"]
        places = [was for was in shown["was"] if was is not None]
        assert len(places) == 20, "sliding windows tell the order before"
    values = where["systems"][at]["values"]["nDCG@10"]
    assert len(values) == 5
    assert all(0 <= value <= 10_000 for value in values)
    assert max(map(len, cut(told[0], 10)["texts"])) == 11


def test_pages_stay_small() -> None:
    assert allowed_bytes(1) == allowed_bytes(50) < 5_000_000
    assert 15_000_000 < allowed_bytes(500) < 20_000_000


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_data_survives_its_way_into_the_page(value: Any) -> None:
    written = data("x", value)
    assert written.count("<") == 2
    inner = written.removeprefix('<script type="application/json" id="x">').removesuffix("</script>\n")
    assert json.loads(inner) == value


@given(st.text())
def test_text_is_escaped(text: str) -> None:
    written = tag("p", text, title=text)
    assert written.count("<") == written.count(">") == 2
    assert written.count('"') == 2
    assert all(character.isprintable() or character.isspace() for character in written)


def test_markup() -> None:
    assert tag("td", "a<b", ["c", tag("br")], class_="x", data_sort=1.5, hidden=True, title=None) == (
        '<td class="x" data-sort="1.5" hidden>a&lt;bc<br></td>'
    )
    assert joined(Markup("<b>")) == "<b>"
    assert joined("\x1b[0m\n") == "\\x1b[0m\n"


def test_places_in_the_plane() -> None:
    plane = Plane([DEAR, CLOSE, CHEAP, UNPRICED, entry("free", (0.3, 0.3), 0.0)], "nDCG@10")
    x = {point.entry.label: point.x for point in plane.points()}
    assert x["free"] < plane.start < x["cheap"] < x["close"] < x["dear"] < plane.end < x["unpriced"]
    assert list(plane.dollars()) == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert plane.y(0.9) < plane.y(0.3)
    assert tick_step(1.0) == 0.2
    assert tick_step(0.0) > 0
    alike = Plane([entry(f"free {at}", (0.5, 0.5), 0.0) for at in range(3)], "nDCG@10").points()
    assert len({point.x for point in alike}) == 3, "beside one another"
    crowd = [entry(f"system number {at}", (0.5, 0.5), 0.001) for at in range(12)]
    placed = labels(Plane(crowd, "nDCG@10").points())
    assert len({(label.x, label.y) for label in placed}) == len(placed) >= 10


@pytest.mark.parametrize(("usd", "words"), [(0, "nothing"), (1234, "$1,234"), (2.5, "$2.50"), (0.0123, "$0.012")])
def test_dollars_in_words(usd: float, words: str) -> None:
    assert usd_words(usd) == words


def test_a_study_of_any_shape_is_drawn() -> None:
    estimate = {"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.0001}
    drawn = study(
        "my_model",
        {
            "simulated": True,
            "slope": estimate,
            "band": [[0.0, 1.0]] * 4,
            "positions": [{"size": 3, "matrix": [[1.0, 0, 0], [0, 2, 0], [0, 0, 1]], "curve": [estimate] * 3}],
            "orders": [{"name": "<reversed>", "ndcg": estimate}, {"name": "first", "ndcg": estimate}],
            "none": None,
            "nothing": [],
        },
    )
    Elements(drawn)
    assert "My model" in drawn
    assert drawn.count("<rect") == 9
    assert drawn.count("<polyline") == 1
    assert "0.2 (0.1 to 0.3) p &lt; 0.001" in drawn
    assert "&lt;reversed&gt;" in drawn
    assert "100% of it lies on the diagonal" in drawn
    assert "simulated" in drawn
    assert Elements(study("odd", [1, "two", {"low": None, "high": 2, "value": float("nan")}])).text == "Odd"


def report(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, ["experiment", "report", *map(str, arguments)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stderr


def test_the_command_writes_a_private_page_and_figures(made: Path) -> None:
    said = report(made)
    path = made / "report.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"{path}: " in said
    assert path.read_text(encoding="utf-8") == page_of(read_folder(made)), "the same page again"
    for collection in ("one", "two"):
        assert (made / f"figures/frontier-{collection}.png").read_bytes().startswith(b"\x89PNG")
        drawing = (made / f"figures/frontier-{collection}.svg").read_text()
        ElementTree.fromstring(drawing)
        assert "sliding on sim/strong (simulated)" in drawing


def test_another_place_and_no_figures(made: Path, tmp_path: Path) -> None:
    report(made, "--out", tmp_path / "page.html", "--no-figures")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".html"] == ["page.html"]
    with pytest.raises(InputError, match="cannot write"):
        report(made, "--out", tmp_path / "none" / "page.html", "--no-figures")


SMALL = {
    "systems.jsonl": '{"system": "a", "collection": "c", "kind": "llm", "group": "a"}\n',
    "measures.jsonl": '{"collection": "c", "system": "a", "measure": "AP", "mean": 0.5, "low": 0.4, "high": 0.6}\n',
    "per_query.jsonl": '{"collection": "c", "system": "a", "measure": "AP", "qid": "q", "value": 0.5}\n',
    "queries/c.jsonl": '{"qid": "q", "text": "what"}\n',
    "qrels/c.txt": "q 0 d 1\n",
}


def small(root: Path, **changes: str) -> Path:
    """The least that is a results folder."""
    for name, text in (SMALL | changes).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_little_is_enough(tmp_path: Path) -> None:
    text = Elements(page_of(read_folder(small(tmp_path / "least")))).text
    assert "AP 0.500 (95 % interval 0.400 to 0.600)" in text
    assert "No system of this experiment made any call" in text


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("systems.jsonl", "", "no systems in it"),
        ("systems.jsonl", '{"system": "a"}\n', r"systems.jsonl:1: no system: collection: field required"),
        ("measures.jsonl", "nonsense\n", r"measures.jsonl:1: not JSON"),
        ("per_query.jsonl", SMALL["per_query.jsonl"].replace('"a"', '"b"'), r"per_query.jsonl:1: 'b' on 'c' is no"),
        ("queries/c.jsonl", "", "no queries in it"),
        ("environment.json", "{", r"environment.json: not JSON"),
        ("environment.json", '{"packages": 3}', r"environment.json: no environment: packages"),
        ("bias/x.json", "[", r"x.json: not JSON"),
        ("systems.jsonl", SMALL["systems.jsonl"].replace("}", ', "run": "../../etc"}'), "outside the folder"),
        ("systems.jsonl", SMALL["systems.jsonl"].replace("}", ', "run": "runs/none"}'), "none: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        page_of(read_folder(small(tmp_path, **{name: text})))


def test_costs_that_are_not_known_are_not_taken_for_nothing(tmp_path: Path) -> None:
    def cost(**bill: object) -> Cost | None:
        line = {"collection": "c", "system": "a", "calls": 3, "usd": "0.5"} | bill
        folder = read_folder(small(tmp_path, **{"totals.jsonl": json.dumps(line) + "\n"}))
        return entries(folder, "c")[0].cost

    def usd(**bill: object) -> float | None:
        told = cost(**bill)
        assert told is not None
        return told.usd

    assert usd() == 0.5
    assert usd(bill_usd="0.7", cache_hits=2) == 0.7
    assert usd(cache_hits=2) is None, "what came from the cache has no known price"
    assert usd(priced=False) is None
    assert cost(priced=False, calls=0) is None, "a recorded run"


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results folder: there is no systems.jsonl in it"):
        report(tmp_path)
