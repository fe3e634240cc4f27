"""What the names of folders say: whether the pictures in them are normal, masks, or for training or testing."""

from __future__ import annotations

import re
import unicodedata


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NORMAL = _set("""
    good goods ok okay oks normal normals pass passed passes fine healthy intact perfect accept accepted acceptable
    correct
    conform conforming conformal compliant flawless faultless clean sound undamaged unbroken uncracked anomalyfree
    defectfree
    faultfree nodefect nodefects nodamage gut gute gutes guter gutteil gutteile normalteile io iot inordnung fehlerfrei
    einwandfrei intakt unbeschadigt unbeschaedigt makellos bon bonne buono bueno
""")
_ANOMALOUS = _set("""
    ng nok nogood notok bad bads defect defects defective defectives def fail fails failed failure failures faulty fault
    faults flaw flaws flawed anomaly anomalies anomalous anomal abnormal abnormals anormal abnormality outlier outliers
    reject rejects rejected rejection scrap broken damage damaged damages nonconforming nonconform nonconformal
    incorrect wrong missing fehlend fehlende
    ko crack cracks cracked scratch scratches scratched dent dents dented contamination contaminated schlecht schlechte
    schlechtteil schlechtteile nio niot nichtio nichtinordnung nichtok ausschuss fehler fehlerhaft fehlerhafte defekt
    defekte defektes schaden beschadigt beschaedigt mangel mangelhaft mangelhafte kaputt kratzer riss risse anomalie
    anomalien auffallig auffaellig mauvais malo difettoso
""")
_NEGATIONS = _set("no not non none un without free nicht kein keine ohne frei")
_MOST_WORDS = 3  # of one meaning, as in "nicht in Ordnung"
_DOUBTFUL = _set("false pseudo falsch")  # a false OK is defective, and a false NG normal
_PAIRS = ({"0", "1"}, {"negative", "positive"}, {"neg", "pos"}, {"true", "false"}, {"yes", "no"}, {"ja", "nein"})


_MASKS = _set("groundtruth groundtruths gt gts mask masks maske masken segmentation segmentations")
_POSSIBLY_MASKS = _set("label labels annotation annotations")
_TRAINING = _set("train training trainset traindata lernen")
_TESTING = _set("test testing testset testdata")
_OTHER_PARTS = _set("val valid validation valset dev")
_NEUTRAL = _set("image images imgs img picture pictures photo photos bild bilder rgb")


def means_normal(name: str) -> bool | None:
    """Return whether a folder of this name holds normal pictures (True) or defective ones (False), None if unknown.

    Case, punctuation, accents and numbers at the end of words do not matter: ``i.O.``, ``OK_1`` and ``Gut`` are normal,
    ``n.i.O.``, ``not ok`` and ``NG2`` are not.
    """
    words = _words(name)
    joined = "".join(words)
    if joined in _NORMAL:
        return True
    if joined in _ANOMALOUS:
        return False
    normal, anomalous = not _NORMAL.isdisjoint(words), not _ANOMALOUS.isdisjoint(words)
    if normal == anomalous or not _DOUBTFUL.isdisjoint(words):
        return None
    return normal == _NEGATIONS.isdisjoint(words)


def file_means_normal(name: str) -> bool | None:
    """Return whether the name of a file without its suffix begins or ends like `means_normal`, None if it does not.

    ``NG_007``, ``cast_def_0_12`` and ``003-not-ok`` are defective; words in the middle and numbers do not matter.
    """
    words = [word for word in _words(name) if not word.isdigit()]
    for count in range(min(_MOST_WORDS, len(words)), 0, -1):
        for end in ("".join(words[:count]), "".join(words[-count:])):
            if end in _NORMAL or end in _ANOMALOUS:
                return end in _NORMAL
    return None


def is_class_name(name: str) -> bool:
    """Return whether a name as a whole means normal or defective, such as NG, unlike one that contains such a word."""
    joined = "".join(_words(name))
    return joined in _NORMAL or joined in _ANOMALOUS


def is_ambiguous(name: str) -> bool:
    """Return whether a name speaks of normal or defective pictures, but does not say which these are.

    ``ok_wrong_lens`` has words of both, and pictures in ``false_ok`` passed as normal and are not.
    """
    words = _words(name)
    if is_class_name(name):
        return False
    if not _DOUBTFUL.isdisjoint(words):
        return len(words) > 1
    return not _NORMAL.isdisjoint(words) and not _ANOMALOUS.isdisjoint(words)


def are_opposites(names: set[str]) -> bool:
    """Return whether two names are opposites that do not say which of them is normal, such as 0 and 1."""
    return {name.casefold() for name in names} in _PAIRS


def part_of(name: str) -> str | None:
    """Return "train", "test" or "other" for a folder that holds a part of a data set, None for other folders."""
    words = _words(name)
    for part, known in {"train": _TRAINING, "test": _TESTING, "other": _OTHER_PARTS}.items():
        if words and words[0] in known and means_normal(name) is None:
            return part
    return None


def holds_masks(name: str) -> bool | None:
    """Return whether a folder of this name holds masks of defects, None if it may hold them."""
    joined = "".join(_words(name))
    return True if joined in _MASKS else None if joined in _POSSIBLY_MASKS else False


def is_neutral(name: str) -> bool:
    """Return whether the name of a folder only says that it holds pictures."""
    return "".join(_words(name)) in _NEUTRAL


def _words(name: str) -> list[str]:
    """Split a name at punctuation and at capitals within it, in lower case and without accents and final numbers.

    Single letters that follow each other are one word, as in i.O.
    """
    if len(name) > 3:  # shorter ones are abbreviations, such as niO
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    words: list[str] = []
    after_letter = False
    for word in re.split(r"[\W_]+", plain):
        if word.isalpha() and len(word) == 1 and after_letter:
            words[-1] += word
        elif word:
            words.append(word.rstrip("0123456789") or word)
        after_letter = word.isalpha() and len(word) == 1
    return words
