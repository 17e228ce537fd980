"""What a report's first page says: counts over all of its addons, and the worst of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from holdfast.domain.protection import ORDER, State

Document = dict[str, Any]

_WORST = 10
DUE = ("due", "made", "failed", "missed", "undecided", "open", "forgotten")


@dataclass
class Summary:
    """Adds up documents of addons, one after the other; it keeps the worst ten only."""

    states: Counter[str] = field(
        default_factory=lambda: Counter({str(state): 0 for state in State})
    )
    deleted: int = 0
    due: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(DUE, 0)))
    backups: Counter[str] = field(
        default_factory=lambda: Counter(dict.fromkeys(("completed", "failed"), 0))
    )
    drills: Counter[str] = field(
        default_factory=lambda: Counter(dict.fromkeys(("passed", "failed", "inconclusive"), 0))
    )
    restores: Counter[str] = field(
        default_factory=lambda: Counter(dict.fromkeys(("completed", "failed"), 0))
    )
    deletions: int = 0
    changes: int = 0
    _worst: list[tuple[Any, Document]] = field(default_factory=list[tuple[Any, Document]])

    def add(self, addon: Document) -> None:
        protection = addon.get("protection")
        if protection is None:
            self.deleted += 1
        else:
            self.states[protection["state"]] += 1
            due = addon["due"]
            troubles = due["failed"] + due["missed"] + due["undecided"]
            drills = sum(drill.get("verdict") == "failed" for drill in addon["drills"])
            severe = protection["state"] not in (State.PROTECTED, State.PAUSED)
            if severe or troubles or drills:
                state, since = State(protection["state"]), protection.get("since", "~")
                rank = (ORDER[state], -drills, -troubles, since)
                names = (addon["project"], addon["addon"])
                entry = {
                    "project": addon["project"],
                    "addon": addon["addon"],
                    "state": protection["state"],
                    "reasons": [reason["sentence"] for reason in protection["reasons"]],
                    "due": due["due"],
                    "made": due["made"],
                    "failedDrills": drills,
                }
                self._worst.append(((rank, names), entry))
                self._worst.sort(key=lambda pair: pair[0])
                del self._worst[_WORST:]
        self.due.update(addon["due"])
        self.backups.update(backup["status"] for backup in addon["backups"])
        self.drills.update(drill.get("verdict", drill["status"]) for drill in addon["drills"])
        self.restores.update(restore["status"] for restore in addon["restores"])
        self.deletions += sum("doneAt" in deletion for deletion in addon["deletions"])

    def document(self) -> Document:
        decided = self.due["due"] - self.due["open"]
        return {
            "addons": self.states.total() + self.deleted,
            "states": {**self.states, "deleted": self.deleted},
            "due": dict(self.due),
            **({"successRate": round(self.due["made"] / decided, 6)} if decided else {}),
            "backups": dict(self.backups),
            "drills": dict(self.drills),
            "restores": dict(self.restores),
            "deletions": self.deletions,
            "changes": self.changes,
            "worst": [entry for _, entry in self._worst],
        }
