"""Which files of a home belong together, as far as their heads tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """What the first lines of a file say."""

    is_rollout: bool
    #: A whole-file rollout of 2025: its saves are told apart by their content.
    is_document: bool
    #: Every id of a thread, a session or a rollout that it names.
    ids: list[str]
    #: It reviews a thread that it does not name, as of 0.100 to 0.135.
    reviews: bool
    cwd: str | None
    created: str | None


def families(heads: list[Head]) -> list[list[int]]:
    """Groups heads so that no session, fork, copy or review is cut.

    The families come in the order of their first member. Whatever may belong
    together stays together: too much is slow, too little would be wrong.
    """
    parent = list(range(len(heads)))

    def find(nth: int) -> int:
        while parent[nth] != nth:
            parent[nth] = parent[parent[nth]]
            nth = parent[nth]
        return nth

    def join(one: int, other: int) -> None:
        one, other = find(one), find(other)
        parent[max(one, other)] = min(one, other)

    named: dict[str, int] = {}
    for nth, head in enumerate(heads):
        ids = [*head.ids, "a document"] if head.is_document else head.ids
        for id_ in ids:
            join(nth, named.setdefault(id_, nth))
    newest: dict[str | None, str] = {}
    for head in heads:
        if head.reviews:
            newest[head.cwd] = max(newest.get(head.cwd, ""), head.created or "")
    reviewers = {head.cwd: nth for nth, head in enumerate(heads) if head.reviews}
    for nth, head in enumerate(heads):
        # The thread that was reviewed worked there, and was begun earlier.
        if head.cwd in newest and (head.created or "") <= newest[head.cwd]:
            join(nth, reviewers[head.cwd])
    grouped: dict[int, list[int]] = {}
    for nth in range(len(heads)):
        grouped.setdefault(find(nth), []).append(nth)
    return [grouped[nth] for nth in sorted(grouped)]
