"""Steps that write a line each: what is kept, what is done again, what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from detrt.errors import ImageError, ModelError, UsageError
from detrt.progress import Progress
from detrt.workflow.journal import FILE, WorkflowJournal
from detrt.workflow.run import preview, run
from detrt.workflow.step import Action, Step


class Workshop:
    """Makes steps, and remembers which have run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, list[str]()

    def step(self, name: str, reads: str = "", text: str | None = None, **more: object) -> Step:
        """A step that writes `name`: the text, or what it reads with its own name behind it."""
        files = tuple(filter(None, reads.split()))
        given = {"text": text}

        def action(files: Sequence[str], progress: Progress) -> None:
            self.ran.append(name)
            content = text or "".join((self.folder / file).read_text() for file in files) + name[0]
            (self.folder / name).write_text(content)

        return Step(name, action, given, files, outputs=(name,), **more)  # type: ignore[arg-type]

    def states(self, *steps: Step, skip: Sequence[str] = ()) -> list[str]:
        """What becomes of them."""
        self.ran.clear()
        return [outcome.state for outcome in run(steps, self.folder, skip=skip)]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def failing(error: Exception) -> Action:
    def action(files: Sequence[str], progress: Progress) -> None:
        raise error

    return action


def test_only_what_changed_and_what_follows_from_it_is_done_again(shop: Workshop) -> None:
    def steps(text: str, other: str) -> list[Step]:
        return [shop.step("a", text=text), shop.step("b", text=other), shop.step("c", "a"), shop.step("d", "b c")]

    assert shop.states(*steps("1", "x")) == ["finished"] * 4
    assert shop.states(*steps("1", "x")) == ["kept"] * 4
    assert shop.ran == []
    assert shop.states(*steps("1", "y")) == ["kept", "finished", "kept", "finished"]
    assert shop.ran == ["b", "d"]
    assert (shop.folder / "d").read_text() == "y1cd"


def test_a_result_that_was_touched_is_made_again_but_an_equal_one_stops_there(shop: Workshop) -> None:
    steps = [shop.step("a", text="1"), shop.step("b", "a"), shop.step("c", "b")]
    shop.states(*steps)
    (shop.folder / "b").write_text("someone wrote this")
    assert shop.states(*steps) == ["kept", "finished", "kept"]
    assert (shop.folder / "c").read_text() == "1bc"


def test_what_fails_is_named_with_its_reason_and_takes_only_its_followers_along(shop: Workshop) -> None:
    broken = Step("b", failing(ModelError("It is broken.", "Mend it.")), {}, ("a",), outputs=("b",))
    (shop.folder / "b").write_text("of an earlier time")
    steps = [shop.step("a", text="1"), broken, shop.step("c", "b"), shop.step("d", "a")]
    outcomes = run(steps, shop.folder)
    assert [outcome.state for outcome in outcomes] == ["finished", "failed", "impossible", "finished"]
    assert outcomes[1].reason == "It is broken. Mend it."
    assert outcomes[2].reason == "'b' failed"
    assert not (shop.folder / "b").exists(), "an old result must not pass for the new one"


def test_the_first_step_may_not_fail(shop: Workshop) -> None:
    with pytest.raises(ModelError, match="broken"):
        run([Step("a", failing(ModelError("It is broken.", "Mend it.")), outputs=("a",))], shop.folder)


def test_what_the_machine_lacks_is_told_and_never_done(shop: Workshop) -> None:
    steps = [shop.step("a", text="1"), shop.step("b", "a", lacks="there is no GPU here"), shop.step("c", "b")]
    outcomes = run(steps, shop.folder)
    assert [outcome.state for outcome in outcomes] == ["finished", "impossible", "impossible"]
    assert {outcome.reason for outcome in outcomes[1:]} == {"there is no GPU here"}
    assert shop.ran == ["a"]


def test_kinds_can_be_left_out(shop: Workshop) -> None:
    assert shop.states(shop.step("a", text="1"), shop.step("b", "a"), skip=["b"]) == ["finished", "left out"]


def test_a_step_takes_those_of_several_that_are_there(shop: Workshop) -> None:
    gone = shop.step("b", lacks="no GPU")
    taken: list[str] = []

    def action(files: Sequence[str], progress: Progress) -> None:
        taken.extend(files)
        (shop.folder / "t").write_text("t")

    timing = Step("t", action, one_of=("a", "b"), outputs=("t",))
    assert shop.states(shop.step("a", text="1"), gone, timing) == ["finished", "impossible", "finished"]
    assert taken == ["a"]
    alone = Step("u", action, one_of=("b",), outputs=("u",))
    assert shop.states(shop.step("a", text="1"), gone, alone)[-1] == "impossible"


def test_a_folder_is_taken_up_on_a_machine_that_lacks_what_it_was_made_of(shop: Workshop) -> None:
    made = [shop.step("a", text="1"), shop.step("b", "a", text="2")]
    shop.states(*made)
    elsewhere = [shop.step(step.name, " ".join(step.files), lacks="no GPU") for step in made]  # the text is not there
    assert shop.states(*elsewhere) == ["kept", "kept"]


def test_what_is_missing_is_told_before_anything_is_done(shop: Workshop) -> None:
    absent = ImageError("There is nothing at calib.", "Give photos.")
    steps = [shop.step("a", text="1"), shop.step("b", "a", absent=absent)]
    with pytest.raises(ImageError, match="nothing at calib"):
        run(steps, shop.folder)
    assert shop.ran == []


def test_a_preview_tells_the_same_and_does_nothing(shop: Workshop) -> None:
    steps: Callable[[str], list[Step]] = lambda text: [shop.step("a", text=text), shop.step("b", "a")]  # noqa: E731
    assert [outcome.state for outcome in preview(steps("1"), shop.folder)] == ["due", "due"]
    assert list(shop.folder.iterdir()) == []
    shop.states(*steps("1"))
    assert [outcome.state for outcome in preview(steps("1"), shop.folder)] == ["kept", "kept"]
    assert [outcome.state for outcome in preview(steps("2"), shop.folder)] == ["due", "due"]


def test_a_line_that_a_kill_cut_off_loses_only_itself(shop: Workshop) -> None:
    steps = [shop.step("a", text="1"), shop.step("b", "a")]
    shop.states(*steps)
    journal = shop.folder / FILE
    journal.write_bytes(journal.read_bytes()[:-20])
    assert shop.states(*steps) == ["kept", "finished"]
    assert shop.states(*steps) == ["kept", "kept"]


def test_two_workflows_do_not_write_into_one_folder(shop: Workshop) -> None:
    with WorkflowJournal(shop.folder).writing(), pytest.raises(UsageError, match="Another workflow"):
        run([shop.step("a", text="1")], shop.folder)


def test_progress_names_the_step(shop: Workshop) -> None:
    told: list[str] = []

    def action(files: Sequence[str], progress: Progress) -> None:
        progress("photos", 1, 2)
        (shop.folder / "a").write_text("a")

    run([Step("a", action, outputs=("a",))], shop.folder, progress=lambda stage, done, total: told.append(stage))
    assert told == ["a: photos"]
