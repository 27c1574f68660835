"""Names as the machines at an airport write them: with the letters A to Z, and nothing else.

Letters of the Latin alphabet are spelled as in the machine readable zone of a passport (ICAO Doc
9303, part 3, section 6 A), so that the two are the same. Other scripts are left out: how a name is
spelled in Latin letters only its owner's passport says.
"""

from __future__ import annotations

import unicodedata

# Those of the table that are not simply the letter without its mark.
_SPELLED = str.maketrans(
    {
        "Ä": "AE",
        "Å": "AA",
        "Æ": "AE",
        "Ð": "D",
        "Đ": "D",
        "Ə": "E",
        "Ħ": "H",
        "Ł": "L",
        "Ŋ": "N",
        "Ö": "OE",
        "Ø": "OE",
        "Œ": "OE",
        "Þ": "TH",
        "Ŧ": "T",
        "Ü": "UE",
    }
)
# O'Brien is one word and stays one; everything else that is no letter parts words.
_JOINS = str.maketrans("", "", "'’‘ʼʻ`´.·")  # noqa: RUF001 - these are what people type


def in_latin(name: str) -> str:
    """The name in capitals from A to Z, its words parted by one space; empty when none is left."""
    # Composed first: an A with its dots apart is the same letter as Ä.
    upper = unicodedata.normalize("NFC", name).upper().translate(_SPELLED)
    plain = unicodedata.normalize("NFKD", upper.translate(_JOINS)).upper()
    letters = (_letter(char) for char in plain)
    return " ".join("".join(letters).split())


def _letter(char: str) -> str:
    if "A" <= char <= "Z":
        return char
    return "" if unicodedata.combining(char) else " "
