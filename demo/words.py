"""Text that compresses like what people write: common words often, rare ones seldom."""

import random
from collections.abc import Iterator
from itertools import accumulate

_WORDS = """
the of and to in is for that it with on as was be by at this not are from but have or had an they
which you were all her she there would their we him been has when who will no more if out so said
what up its about into than them can only other new some could time these two may then do first
any my now such like our over man me even most made after also did many before must through back
years where much your way well down should because each just those people how too little state
good very make world still own see men work long get here between both life being under never day
same another know while last might us great old year off come since against go came right used
take three order delivery customer invoice payment refund address package courier warehouse return
colour size quality price discount support answer question waiting week month yesterday tomorrow
perfectly broken missing replaced arrived ordered shipped cancelled exactly quickly friendly slow
instructions manual battery screen cable charger adapter button handle cover fabric leather cotton
kitchen garden office bicycle camera keyboard speaker lamp table chair shelf mirror bottle blanket
recommend disappointed satisfied surprised expected received opened assembled cleaned measured
understand remember believe consider notice describe compare improve suggest require provide allow
however although therefore meanwhile otherwise especially particularly approximately unfortunately
different important available necessary comfortable reasonable beautiful original electronic
"""
_PUNCTUATION = (". ", ", ", " ", " ", " ", "; ", "! ", " – ", ": ", "? ")
_PHRASES = 20_000


def passages(count: int, words: int = 170, seed: int = 20) -> Iterator[str]:
    """`count` passages of about `words` words; the same for the same seed."""
    dice = random.Random(seed)
    vocabulary = _WORDS.split()
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(vocabulary))))
    phrases = [
        " ".join(dice.choices(vocabulary, cum_weights=weights, k=dice.randint(2, 5)))
        + dice.choice(_PUNCTUATION)
        for _ in range(_PHRASES)
    ]
    for _ in range(count):
        yield "".join(dice.choices(phrases, k=words // 3))
