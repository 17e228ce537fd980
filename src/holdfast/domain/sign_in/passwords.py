"""Which passwords will do: long ones that are not among the first that are guessed.

There are no rules about kinds of characters, as NIST SP 800-63B advises: they make passwords
harder to remember, not to guess.
"""

import re

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
_FEWEST_DISTINCT = 5
_PHRASE_WORDS = 4
"""So many common words together, or letters beside fewer, are no longer guessed first."""

_COMMON_TEXT = """
password passw0rd passwort contrasena motdepasse senha wachtwoord letmein welcome willkommen
bienvenue administrator admin root toor superuser changeme changeit default secret geheim
iloveyou ichliebedich loveyou sunshine princess football baseball basketball superman batman
starwars pokemon minecraft fortnite whatever trustno monkey dragon master shadow michael
jordan jennifer charlie jessica michelle ashley computer internet samsung google facebook
instagram whatsapp microsoft windows linkedin database postgres postgresql mysql mariadb
redis sqlite backup restore holdfast northflank server production test testing guest user
username login signin access hello hallo summer winter spring autumn sommer fruehling herbst
january february march april june july august september october november december
monday tuesday wednesday thursday friday saturday sunday london berlin paris newyork
correcthorsebatterystaple thisisapassword mypassword yourpassword ourpassword newpassword
thepassword passwordpassword adminadmin rootroot welcomewelcome letmeinletmein
liverpool chelsea arsenal manchesterunited barcelona realmadrid cheese chocolate cookie
freedom blink nothing asdf qwert qwer qwertz azerty zxcv zxcvbn yxcv
"""
_COMMON = frozenset(_COMMON_TEXT.split())
"""Words that make a password guessable when digits and signs are all that is added to them."""
_LONGEST_FIRST = sorted((word for word in _COMMON if len(word) > 3), key=len, reverse=True)

_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "1q2w3e4r5t6y7u8i9o0p",
)
_LEET = str.maketrans("0134578@$!+", "oleastbasit")


def problem_of(password: str, name: str) -> str | None:
    """Says what is wrong with a new password of the user, as `must ...`; None: nothing."""
    if len(password) < MIN_CHARACTERS:
        return f"must have {MIN_CHARACTERS} characters or more; four words that you make up will do"
    if len(password) > MAX_CHARACTERS:
        return f"must have at most {MAX_CHARACTERS} characters"
    folded = password.casefold()
    is_repeated = folded in (folded + folded)[1:-1]  # a text over and over: `abcabcabcabc`
    if len(set(folded)) < _FEWEST_DISTINCT or is_repeated:
        return "must not be a few characters again and again"
    words = [word for word in re.split(r"[^\w]+", name.casefold()) if len(word) > 3]
    if any(len(folded.replace(word, "")) < MIN_CHARACTERS // 2 for word in words if word in folded):
        return "must not be made of your name"
    if any(_is_guessed(text) for text in (folded, folded.translate(_LEET))):
        return "must not be one of those that are guessed first"
    return None


def _is_guessed(text: str) -> bool:
    """Whether little is left without common words, runs on a keyboard, digits and signs."""
    remainder = re.sub(r"[\W_]+", "", text)
    words = 0
    for word in _LONGEST_FIRST:
        if word in remainder:
            remainder = remainder.replace(word, "")
            words += 1
    letters = re.sub(r"\d+", "", _without_runs(remainder))
    return words < _PHRASE_WORDS and len(letters) < _PHRASE_WORDS


def _without_runs(text: str) -> str:
    """The text without runs of four or more neighbours on a keyboard or in the alphabet."""
    rows = (*_ROWS, *_BACKWARDS)
    remainder = ""
    position = 0
    while position < len(text):
        end = position + 1
        while end < len(text) and any(text[position : end + 1] in row for row in rows):
            end += 1
        if end - position < 4:
            end = position + 1
            remainder += text[position]
        position = end
    return remainder


_BACKWARDS = tuple(row[::-1] for row in _ROWS)
