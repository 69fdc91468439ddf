"""Print findings about an installation, for people or for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing examined. state: "ok", "note" (a lesson still runs) or "fault" (a lesson would fail)."""

    what: str
    state: Literal["ok", "note", "fault"]
    detail: str
    remedy: str = ""


def diagnose(findings: Iterable[Finding], *, as_json: bool = False) -> int:
    """Print every finding with its remedy; return 1 if there is a fault, else 0."""
    findings = list(findings)
    faults = [finding for finding in findings if finding.state == "fault"]
    if as_json:
        print(json.dumps({"healthy": not faults, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return 1 if faults else 0
    for finding in findings:
        mark = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}[finding.state]
        print(f"{mark}  {finding.what:<22} {finding.detail}")
        if finding.remedy:
            print(f"       {'':<22} -> {finding.remedy}")
    print(f"\n{len(faults)} fault(s)." if faults else "\nEverything a lesson needs is there.")
    return 1 if faults else 0
