"""Languages by their names, in English and in their own spelling. Pure."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache

_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*")
_CLOSE = 0.8
"""How similar a misspelt name is: half as much could be a word of the endpoint."""
_NAMES = """
aa afar; ab abkhazian; af afrikaans; ak akan; am amharic; an aragonese; ar arabic العربية; as assamese; av avaric;
ay aymara; az azerbaijani; ba bashkir; be belarusian беларуская; bg bulgarian български; bi bislama; bm bambara;
bn bengali bangla বাংলা; bo tibetan; br breton; bs bosnian bosanski; ca catalan valencian català; ce chechen;
ch chamorro; co corsican; cs czech čeština česky; cv chuvash; cy welsh cymraeg; da danish dansk; de german deutsch;
dv divehi maldivian; dz dzongkha; ee ewe; el greek ελληνικά; en english; eo esperanto; es spanish castilian español;
et estonian eesti; eu basque euskara; fa persian farsi فارسی; ff fulah; fi finnish suomi; fj fijian; fo faroese;
fr french français; fy frisian; ga irish gaeilge; gd gaelic; gl galician galego; gn guarani; gu gujarati; gv manx;
ha hausa; he hebrew עברית; hi hindi हिन्दी; hr croatian hrvatski; ht haitian; hu hungarian magyar; hy armenian հայերեն;
ia interlingua; id indonesian; ig igbo; is icelandic íslenska; it italian italiano; iu inuktitut; ja japanese 日本語;
jv javanese; ka georgian ქართული; kg kongo; ki kikuyu; kk kazakh; kl greenlandic kalaallisut; km khmer; kn kannada;
ko korean 한국어; ks kashmiri; ku kurdish; kw cornish; ky kyrgyz; la latin; lb luxembourgish lëtzebuergesch; lg ganda;
li limburgish; ln lingala; lo lao; lt lithuanian lietuvių; lv latvian latviešu; mg malagasy; mi maori māori;
mk macedonian македонски; ml malayalam; mn mongolian; mr marathi; ms malay; mt maltese; my burmese myanmar;
nb bokmål; ne nepali; nl dutch flemish nederlands; nn nynorsk; no norwegian norsk; nv navajo; ny chichewa; oc occitan;
om oromo; or oriya; os ossetian; pa punjabi panjabi; pl polish polski; ps pashto; pt portuguese português; qu quechua;
rm romansh; rn rundi; ro romanian moldovan română; ru russian русский; rw kinyarwanda; sa sanskrit; sc sardinian;
sd sindhi; si sinhala sinhalese; sk slovak slovenčina; sl slovenian slovene slovenščina; sm samoan; sn shona; so somali;
sq albanian shqip; sr serbian српски; ss swati; su sundanese; sv swedish svenska; sw swahili kiswahili; ta tamil தமிழ்;
te telugu; tg tajik; th thai ไทย; ti tigrinya; tk turkmen; tl tagalog; tn tswana; to tonga; tr turkish türkçe;
ts tsonga; tt tatar; tw twi; ty tahitian; ug uyghur; uk ukrainian українська; ur urdu; uz uzbek; ve venda;
vi vietnamese; wa walloon; wo wolof; xh xhosa; yi yiddish; yo yoruba; za zhuang; zh chinese mandarin 中文; zu zulu
"""
"""ISO 639-1 codes, each with its names."""


def codes_of(text: str) -> str:
    """Return languages as codes, separated by commas as they were given.

    A name that is not known stays as it is: some servers have words of their own.

    Raises:
        ValueError: A name is misspelt. The message says what it must be, to follow the word "must".
    """
    return ",".join(map(_code_of, text.split(",")))


def _code_of(name: str) -> str:
    given = name.strip()
    if _CODE.fullmatch(given):
        return given
    names = language_names()
    if (code := names.get(given.casefold())) is not None:
        return code
    if close := get_close_matches(given.casefold(), names, n=1, cutoff=_CLOSE):
        raise ValueError(f"be a code as en, or a name as English: did you mean {close[0]}?")
    return given


@cache
def language_names() -> dict[str, str]:
    """Every code by the names of its language, in lower case."""
    lines = (entry.split() for entry in _NAMES.split(";"))
    return {name.casefold(): code for code, *names in lines for name in names}
