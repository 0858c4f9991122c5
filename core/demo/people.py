"""Invented customers: names from many scripts, addresses by country, e-mail addresses that reach nobody."""

from dataclasses import dataclass
from random import Random

from core.demo.catalogue import DemoShop


@dataclass(frozen=True, slots=True)
class Place:
    """Where goods go; `tax_rates` are the rates a shop must charge there, as (title, rate)."""

    country: str
    province: str | None
    city: str
    tax_rates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Who buys: given and family name may be in any script."""

    first_name: str
    last_name: str
    email: str | None
    place: Place


def invent_person(shop: DemoShop, rng: Random, number: int) -> Person:
    """A person for the customer or guest with this number; one in forty leaves no e-mail address."""
    script = rng.choices(NAMES, weights=_NAME_WEIGHTS[shop.country])[0]
    first, last = rng.choice(script[0]), rng.choice(script[1])
    email = None if rng.random() < 0.025 else f"{_mailbox(first, last)}{number % 100_000}@example.com"
    places, weights = PLACES[shop.country]
    return Person(first, last, email, rng.choices(places, weights=weights)[0])


def _mailbox(first: str, last: str) -> str:
    plain = "".join(
        letter for letter in f"{first}.{last}".lower() if letter.isascii() and (letter.isalpha() or letter == ".")
    )
    return plain.strip(".")[:24] or "customer"


NAMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("Emma", "Liam", "Olivia", "Noah", "Ava", "James", "Sophia", "Lucas", "Mia", "Henry", "Grace", "Owen", "Ruth",
         "Daniel", "Hannah", "Samuel", "Nora", "Ethan", "Clara", "Jack", "Ellen", "Peter", "Rose", "Thomas"),
        ("Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis", "Wilson", "Anderson", "Taylor", "Moore",
         "Jackson", "Martin", "Thompson", "White", "Clark", "Lewis", "Walker", "Hall", "Young", "King", "O'Connor"),
    ),
    (
        ("Jürgen", "Björn", "Zoë", "Søren", "François", "Łukasz", "José", "Anaïs", "Øyvind", "Günther", "Chloé", "Jiří",
         "İpek", "Siân", "Nuño", "Käthe"),
        ("Müller", "Weiß", "Åkesson", "Dvořák", "Núñez", "Lefèvre", "Wójcik", "Ó Briain", "Çelik", "Groß", "Đorđević",
         "Sørensen", "Gonçalves", "Schäfer", "Köhler", "Szczepański"),
    ),
    (
        ("Anna", "Paul", "Lena", "Felix", "Marie", "Jonas", "Lea", "Finn", "Greta", "Max", "Ida", "Moritz", "Frieda",
         "Emil", "Hanna", "Karl", "Ute", "Heike", "Dirk", "Sabine"),
        ("Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz", "Hoffmann", "Koch", "Bauer",
         "Richter", "Klein", "Wolf", "Neumann", "Schwarz", "Zimmermann", "Krüger", "Hartmann", "von der Heide"),
    ),
    (("आरव", "प्रिया", "अनन्या", "रोहन", "सीता"), ("शर्मा", "पटेल", "सिंह", "गुप्ता", "अय्यर")),
    (("伟", "芳", "娜", "秀英", "强"), ("王", "李", "张", "刘", "欧阳")),
    (("さくら", "陽翔", "結衣", "健太", "ユウキ"), ("佐藤", "鈴木", "髙橋", "田中", "渡邉")),
    (("민준", "서연", "지우", "하은", "도윤"), ("김", "이", "박", "최", "황보")),
    (("محمد", "فاطمة", "ليلى", "يوسف", "نور"), ("الأحمد", "حسن", "خليل", "عبد الرحمن", "المصري")),
    (("נועה", "דוד", "תמר", "יוסף", "מיכל"), ("כהן", "לוי", "מזרחי", "בן־דוד", "פרידמן")),
    (("Ольга", "Дмитрий", "Анна", "Юрий", "Святослав"), ("Иванова", "Шевченко", "Петров", "Щербак", "Кузнецов")),
    (("Γιώργος", "Ελένη", "Μαρία", "Νίκος", "Σοφία"), ("Παπαδόπουλος", "Γεωργίου", "Βασιλείου", "Οικονόμου")),
    (
        ("Wolfeschlegelsteinhausenbergerdorff Maximiliana Theodora",
         "Pablo Diego José Francisco de Paula Juan Nepomuceno"),
        ("Keihanaikukauakahihuliheekahaunaele", "Venkatanarasimharajuvaripeta-Ramachandrasekhara",
         "de los Remedios Cipriano de la Santísima Trinidad"),
    ),
)  # fmt: skip

_NAME_WEIGHTS: dict[str, tuple[float, ...]] = {
    "US": (68, 9, 5, 3, 3, 2, 2, 2, 2, 2, 1, 0.6),
    "DE": (12, 16, 56, 2, 2, 2, 1, 3, 1, 4, 2, 0.6),
}

_NEW_YORK = (("New York State Tax", 0.04), ("New York City Tax", 0.045), ("Metropolitan Commuter District", 0.00375))
_VAT = (("MwSt", 0.19),)

PLACES: dict[str, tuple[tuple[Place, ...], tuple[float, ...]]] = {
    "US": (
        (
            Place("US", "NY", "New York", _NEW_YORK),
            Place("US", "CA", "Oakland", (("California State Tax", 0.0725), ("Alameda County Tax", 0.03))),
            Place("US", "MA", "Boston", (("Massachusetts State Tax", 0.0625),)),
            Place("US", "TX", "Austin", (("Texas State Tax", 0.0625), ("Austin City Tax", 0.02))),
            Place("US", "OR", "Portland", ()),
            Place("US", "NH", "Concord", ()),
            Place("US", "WA", "Seattle", (("Washington State Tax", 0.065), ("Seattle City Tax", 0.038))),
            Place("US", "ME", "Portland", (("Maine State Tax", 0.055),)),
            Place("CA", "ON", "Toronto", (("HST", 0.13),)),
            Place("GB", None, "London", ()),
        ),
        (30, 15, 13, 9, 8, 5, 9, 6, 4, 1),
    ),
    "DE": (
        (
            Place("DE", None, "Berlin", _VAT),
            Place("DE", None, "Hamburg", _VAT),
            Place("DE", None, "München", _VAT),
            Place("DE", None, "Köln", _VAT),
            Place("AT", None, "Wien", (("AT MwSt", 0.20),)),
            Place("FR", None, "Paris", (("FR TVA", 0.20),)),
            Place("NL", None, "Utrecht", (("NL BTW", 0.21),)),
            Place("CH", None, "Zürich", ()),
        ),
        (46, 14, 11, 10, 8, 5, 4, 2),
    ),
}
