"""Which of the folders that a picture lies in is its label: names of several folders can speak of it."""

from __future__ import annotations

from collections.abc import Collection

from .class_names import is_ambiguous, is_class_name, means_normal

OUTSIDE = "."
"""The label of pictures outside of the labelled folders."""

Folders = tuple[str, ...]


class FolderLabels:
    """The labels of pictures by the names of the folders that they lie in, at any depth.

    Several folders on the way to a picture can have names that say whether it is normal, as in ``goods_in/NG``. Names
    that are such a word as a whole weigh more than those that contain one, and names at a depth where there are normal
    and defective ones weigh more than others. Where those of most weight contradict each other, as in ``pass_1/nok``
    alone, nothing is known.

    Parameters
    ----------
    places : collection of tuple of str
        The folders that each picture lies in, from the top.
    normal : str, optional
        The name of the folders of normal pictures, if their names do not say it; "." for pictures in no folder.

    Attributes
    ----------
    contradictory : tuple of str or None
        The folders of some pictures, if their names contradict each other.
    """

    def __init__(self, places: Collection[Folders], normal: str | None) -> None:
        self._normal = normal
        self.contradictory: Folders | None = None
        meanings = {place: [self.means_normal(name) for name in place] for place in set(places)}
        found = {(depth, meaning) for known in meanings.values() for depth, meaning in enumerate(known)}
        distinguishing = {depth for depth, meaning in found if meaning and (depth, False) in found}
        deciding: set[Folders] = set()
        overruled: set[Folders] = set()
        for place, known in meanings.items():
            weights = {
                depth: is_class_name(place[depth]) + (depth in distinguishing)
                for depth, meaning in enumerate(known)
                if meaning is not None
            }
            chosen = [depth for depth, weight in weights.items() if weight == max(weights.values())]
            if len({known[depth] for depth in chosen}) > 1:
                self.contradictory = place
                deciding = set()
                break
            deciding |= {place[: depth + 1] for depth in chosen}
            overruled |= {place[: depth + 1] for depth in weights.keys() - chosen}
        self._deciding = deciding - overruled
        self._above = {place[:depth] for place in self._deciding for depth in range(1, len(place))}
        self._depths = [0] if normal == OUTSIDE else sorted({len(place) - 1 for place in self._deciding})
        self._labels = {place: self._label(place) for place in meanings}

    def __bool__(self) -> bool:
        return bool(self._depths)

    def of(self, place: Folders) -> str:
        """Return the label of the pictures in one of the places: a folder's name, or `OUTSIDE`.

        It is the uppermost folder that decides whether they are normal, else one whose name is ambiguous, else one at a
        depth at which others decide, such as ``hole`` beside ``good``.
        """
        return self._labels[place]

    def _label(self, place: Folders) -> str:
        ways = [place[: depth + 1] for depth in range(len(place))]
        beside = [way for way in ways if way not in self._above]
        names = [way[-1] for way in ways if way in self._deciding]
        names += [way[-1] for way in beside if self.is_ambiguous(way[-1])]
        names += [way[-1] for way in beside if len(way) - 1 in self._depths]
        return names[0] if names and self else OUTSIDE

    def means_normal(self, name: str) -> bool | None:
        """Return whether a label is that of normal pictures, None if this is unknown."""
        if self._normal is not None:
            return True if name.casefold() == self._normal.casefold() else None
        return means_normal(name)

    def is_ambiguous(self, name: str) -> bool:
        """Return whether a label does not say if the pictures are normal, although it has words that do."""
        return self._normal is None and is_ambiguous(name)
