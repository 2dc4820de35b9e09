"""A whole workflow: look, do what is due, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detrt.progress import Progress, silent
from detrt.report.page import compared_with, write_report
from detrt.report.verdict import Verdict, judge
from detrt.workflow.gathering import findings_of, samples
from detrt.workflow.machine import abilities
from detrt.workflow.options import FILE, WorkflowOptions
from detrt.workflow.plan import plan, site_of
from detrt.workflow.run import Told, preview, run
from detrt.workflow.step import Outcome


@dataclass(frozen=True)
class Finished:
    """What became of each step, and what follows."""

    outcomes: tuple[Outcome, ...]
    verdict: Verdict

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Steps that this machine should have been able to do."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == "failed")


def preview_workflow(options: WorkflowOptions, folder: Path, overrides: Mapping[str, Any]) -> list[Outcome]:
    """What `run_workflow` would do here.

    Raises:
        DetrtError: something that the options name is not here, and a step that is due needs it.
    """
    site = site_of(options, folder, overrides, abilities())
    return preview(plan(site), folder, skip=options.skip)


def run_workflow(
    options: WorkflowOptions,
    folder: Path,
    overrides: Mapping[str, Any],
    *,
    told: Told = lambda outcome: None,
    progress: Progress = silent,
) -> Finished:
    """Export, quantise, build, score, time, compare, explain, profile; then write the report.

    May be killed at any time: the same call goes on from there, and ends with the same report. What this machine
    cannot do is told by name and left for another one: the folder may be carried there.

    Args:
        options: what to take and what to make of it; kept as `workflow.yaml` in the folder.
        folder: everything is written here, and nowhere else but the cache.
        overrides: fields of the contract that a foreign model does not state.
        told: told what became of each step.
        progress: told of the work within them.

    Raises:
        DetrtError: see `run.run`.
    """
    here = abilities()
    site = site_of(options, folder, overrides, here)
    outcomes = run(
        plan(site),
        folder,
        skip=options.skip,
        machine=here.title,
        begin=lambda: options.save(folder / FILE),
        told=told,
        progress=progress,
    )
    findings = findings_of(site, outcomes)
    compared = compared_with(findings, judge(findings))
    verdict = write_report(findings, samples(site, compared), folder)
    return Finished(tuple(outcomes), verdict)
