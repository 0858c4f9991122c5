"""The demo shops and what they sell; everything here is invented."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

SCOPES: tuple[str, ...] = (
    "read_orders", "read_all_orders", "read_customers", "read_products", "read_inventory", "read_locations",
    "read_reports", "write_orders", "write_customers", "write_products",
)  # fmt: skip


@dataclass(frozen=True)
class DemoShop:
    """One demo shop; `daily_orders` is the average of a grown-up day, money is in minor units (cents)."""

    domain: str
    name: str
    number: int
    token: str
    currency: str
    time_zone: str
    country: str
    taxes_included: bool
    daily_orders: float
    shipping_fee: int
    free_shipping_from: int
    catalogue: tuple[tuple[str, str, str, str, str], ...]

    @property
    def gid(self) -> str:
        """The shop's global id."""
        return f"gid://shopify/Shop/{self.number}"

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class Variant:
    """A product's variant; price in minor units."""

    number: int
    title: str
    sku: str
    price: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `listed_on_day` counts from the shop's first day, `deleted` ones only live on in old orders."""

    number: int
    title: str
    vendor: str
    product_type: str
    category: tuple[str, str]
    variants: tuple[Variant, ...]
    popularity: float
    listed_on_day: int
    deleted: bool

    @property
    def is_gift_card(self) -> bool:
        """Whether selling it is a liability, not revenue."""
        return self.product_type == "Gift Cards"

    def created_at(self, shop: DemoShop, opened_on: date) -> datetime:
        """When it was put on sale: the older half before the first day."""
        day = opened_on + timedelta(days=self.listed_on_day - 1 if self.listed_on_day else -(30 + self.number % 11))
        return datetime.combine(day, time(8, self.number % 60, 12), shop.zone).astimezone(UTC)

    def updated_at(self, shop: DemoShop, opened_on: date, now: datetime) -> datetime:
        """Its last change at or before `now`: each product is looked after every few weeks."""
        created_at = self.created_at(shop, opened_on)
        rhythm = timedelta(days=17 + self.number // 7 % 23, seconds=self.number % 86_400)
        return created_at + rhythm * ((now - created_at) // rhythm)


@cache
def products_of(shop: DemoShop) -> tuple[Product, ...]:
    """A shop's products, in the order they were created; ids follow from the shop and the row."""
    return tuple(_product(shop, row, *cells) for row, cells in enumerate(shop.catalogue, start=1))


def _product(shop: DemoShop, row: int, title: str, vendor: str, kind: str, category: str, options: str) -> Product:
    number = 8_100_000_000_000 + shop.number % 1_000 * 10_000_000 + row * 32_768
    initials = "".join(word[0] for word in title.replace("&", "and").split()).upper()
    variants = []
    for position, option in enumerate(options.split("|"), start=1):
        name, price = option.rsplit(" ", 1)
        variants.append(
            Variant(number * 5 + position * 32_768, name, f"{initials}-{row:03d}-{position}", round(float(price) * 100))
        )
    flag, _, plain_kind = kind.rpartition(":")
    return Product(
        number=number,
        title=title,
        vendor=vendor,
        product_type=plain_kind,
        category=CATEGORIES[category],
        variants=tuple(variants),
        popularity=1.3 if plain_kind == "Gift Cards" else 1.0 + 9.0 / (1 + row * 7 % 19),
        listed_on_day=int(flag) if flag.isdigit() else 0,
        deleted=flag == "deleted",
    )


CATEGORIES: dict[str, tuple[str, str]] = {
    "gift": ("gc", "Gift Cards"),
    "tent": ("sg-4-2-11", "Sporting Goods > Outdoor Recreation > Camping & Hiking > Tents"),
    "camp": ("sg-4-2", "Sporting Goods > Outdoor Recreation > Camping & Hiking"),
    "bottle": ("sg-4-2-13", "Sporting Goods > Outdoor Recreation > Camping & Hiking > Water Bottles"),
    "jacket": ("aa-1-10-2", "Apparel & Accessories > Clothing > Outerwear > Coats & Jackets"),
    "shirt": ("aa-1-13", "Apparel & Accessories > Clothing > Clothing Tops"),
    "sock": ("aa-1-18", "Apparel & Accessories > Clothing > Socks"),
    "hat": ("aa-2-17", "Apparel & Accessories > Clothing Accessories > Hats"),
    "bag": ("lb-1", "Luggage & Bags > Backpacks"),
    "candle": ("hg-3-15", "Home & Garden > Decor > Home Fragrances > Candles"),
    "blanket": ("hg-15-1", "Home & Garden > Linens & Bedding > Blankets"),
    "mug": ("hg-11-10-4", "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Mugs"),
    "knife": ("hg-11-7", "Home & Garden > Kitchen & Dining > Kitchen Tools & Utensils"),
    "soap": ("hb-3-2", "Health & Beauty > Personal Care > Cosmetics > Bath & Body"),
    "coffee": ("fb-1-3", "Food, Beverages & Tobacco > Beverages > Coffee"),
    "tea": ("fb-1-9", "Food, Beverages & Tobacco > Beverages > Tea & Infusions"),
    "drink": ("fb-1-8", "Food, Beverages & Tobacco > Beverages > Soda"),
    "sweet": ("fb-2-2", "Food, Beverages & Tobacco > Food Items > Candy & Chocolate"),
    "snack": ("fb-2-14", "Food, Beverages & Tobacco > Food Items > Snack Foods"),
    "magazine": ("me-4", "Media > Magazines & Newspapers"),
    "book": ("me-1", "Media > Books"),
    "paper": ("os-8", "Office Supplies > Paper Products > Notebooks & Notepads"),
    "pen": ("os-11", "Office Supplies > Writing & Drawing Instruments"),
    "toy": ("tg-5", "Toys & Games > Toys"),
}

_SIZES = "S {0}|M {0}|L {0}|XL {0}"
_THREE = "Small {0}|Medium {1}|Large {2}"

HARBOR_CATALOGUE: tuple[tuple[str, str, str, str, str], ...] = (
    ("Ridgeline Tent", "Harbor & Pine", "Tents", "tent", "2 person 289.00|3 person 349.00"),
    ("Tideline Rain Jacket", "Harbor & Pine", "Jackets", "jacket", _SIZES.format("148.00")),
    ("Lookout Fleece", "North Cove", "Jackets", "jacket", _SIZES.format("89.50")),
    ("Boathouse Flannel", "North Cove", "Shirts", "shirt", _SIZES.format("64.00")),
    ("Ferry Tee", "Harbor & Pine", "Shirts", "shirt", _SIZES.format("28.00")),
    ("Merino Hiking Socks", "Woolly Mile", "Socks", "sock", "S/M 21.50|L/XL 21.50"),
    ("Harbor Beanie", "Woolly Mile", "Hats", "hat", "Navy 24.00|Moss 24.00|Rust 24.00"),
    ("Five Panel Cap", "Harbor & Pine", "Hats", "hat", "Default Title 32.00"),
    ("Day Pack 18L", "Cairn Works", "Backpacks", "bag", "Slate 79.00|Ochre 79.00"),
    ("Weekend Pack 40L", "Cairn Works", "Backpacks", "bag", "Slate 165.00|Ochre 165.00"),
    ("Canvas Tote", "Harbor & Pine", "Bags", "bag", "Default Title 19.95"),
    ("Enamel Mug", "Kettle & Co", "Mugs", "mug", "Cream 14.00|Pine 14.00|Navy 14.00"),
    ("Stoneware Mug", "Kettle & Co", "Mugs", "mug", "Default Title 22.00"),
    ("Trail Bottle", "Kettle & Co", "Bottles", "bottle", "500 ml 26.00|750 ml 31.00|1 l 36.00"),
    ("Camp Kettle", "Kettle & Co", "Cookware", "camp", "Default Title 48.00"),
    ("Cast Iron Skillet", "Forge Street", "Cookware", "camp", _THREE.format("34.00", "46.00", "62.00")),
    ("Pocket Knife", "Forge Street", "Tools", "knife", "Oak 39.00|Walnut 45.00"),
    ("Hatchet", "Forge Street", "Tools", "camp", "Default Title 72.00"),
    ("Pine Candle", "Little Lamp", "Candles", "candle", _THREE.format("16.00", "24.00", "38.00")),
    ("Sea Salt Candle", "Little Lamp", "Candles", "candle", _THREE.format("16.00", "24.00", "38.00")),
    ("Woodsmoke Candle", "Little Lamp", "Candles", "candle", _THREE.format("16.00", "24.00", "38.00")),
    ("Wool Blanket", "Woolly Mile", "Blankets", "blanket", "Throw 98.00|Queen 168.00"),
    ("Picnic Blanket", "Woolly Mile", "Blankets", "blanket", "Default Title 74.00"),
    ("Cedar Soap", "Salt & Cedar", "Soap", "soap", "Bar 8.50|Three bars 22.00"),
    ("Seaweed Soap", "Salt & Cedar", "Soap", "soap", "Bar 8.50|Three bars 22.00"),
    ("Hand Balm", "Salt & Cedar", "Body Care", "soap", "Default Title 12.75"),
    ("Beard Oil", "Salt & Cedar", "Body Care", "soap", "30 ml 18.00|60 ml 29.00"),
    ("Dock Coffee Beans", "Slow Roasters", "Coffee", "coffee", "250 g 15.00|1 kg 49.00"),
    ("Night Watch Espresso", "Slow Roasters", "Coffee", "coffee", "250 g 16.50|1 kg 54.00"),
    ("Cold Brew Bags", "Slow Roasters", "Coffee", "coffee", "Default Title 19.00"),
    ("Forest Tea", "Slow Roasters", "Tea", "tea", "Default Title 13.25"),
    ("Field Notebook", "Paper Harbor", "Stationery", "paper", "Plain 11.00|Dotted 11.00|Lined 11.00"),
    ("Tide Calendar", "Paper Harbor", "Stationery", "paper", "Default Title 26.00"),
    ("Brass Pen", "Paper Harbor", "Stationery", "pen", "Default Title 42.00"),
    ("Sleeping Bag", "Cairn Works", "Sleeping Bags", "camp", "Summer 119.00|Three season 179.00|Winter 259.00"),
    ("Sleeping Pad", "Cairn Works", "Sleeping Bags", "camp", "Default Title 84.99"),
    ("Head Torch", "Little Lamp", "Lights", "camp", "Default Title 44.90"),
    ("Lantern", "Little Lamp", "Lights", "camp", "Default Title 58.00"),
    ("Firestarter Kit", "Forge Street", "Tools", "camp", "Default Title 17.49"),
    ("Gift Card", "Harbor & Pine", "Gift Cards", "gift", "$25 25.00|$50 50.00|$100 100.00"),
    ("Driftwood Frame", "Paper Harbor", "deleted:Decor", "paper", "Default Title 33.00"),
    ("Hammock", "Cairn Works", "95:Sleeping Bags", "camp", "Single 69.00|Double 89.00"),
    ("Rope Doormat", "Harbor & Pine", "180:Decor", "blanket", "Default Title 56.00"),
    ("Sailcloth Apron", "Harbor & Pine", "260:Aprons", "shirt", "Default Title 52.00"),
    ("Thermos", "Kettle & Co", "340:Bottles", "bottle", "500 ml 38.00|1 l 49.00"),
    ("Storm Parka", "North Cove", "420:Jackets", "jacket", _SIZES.format("239.00")),
    ("Birch Cutting Board", "Forge Street", "520:Cookware", "knife", "Default Title 47.00"),
)

KIOSK_CATALOGUE: tuple[tuple[str, str, str, str, str], ...] = (
    ("Hausmischung", "Rösterei Kreuzberg", "Kaffee", "coffee", "250 g 8.90|500 g 16.50|1 kg 29.90"),
    ("Espresso Nachtschicht", "Rösterei Kreuzberg", "Kaffee", "coffee", "250 g 9.50|1 kg 32.00"),
    ("Filterkaffee Äthiopien", "Rösterei Kreuzberg", "Kaffee", "coffee", "250 g 11.90"),
    ("Entkoffeiniert", "Rösterei Kreuzberg", "Kaffee", "coffee", "250 g 9.90"),
    ("Ostfriesentee", "Teehaus Spree", "Tee", "tea", "100 g 6.49|250 g 13.99"),
    ("Kräutertee Waldspaziergang", "Teehaus Spree", "Tee", "tea", "100 g 7.20"),
    ("Matcha", "Teehaus Spree", "Tee", "tea", "30 g 18.90"),
    ("Club-Limo Zitrone", "Brause & Söhne", "Getränke", "drink", "6er 9.60|12er 17.90"),
    ("Rhabarberschorle", "Brause & Söhne", "Getränke", "drink", "6er 10.20|12er 18.90"),
    ("Ingwershot", "Brause & Söhne", "Getränke", "drink", "4er 11.80"),
    ("Zartbitter 70 %", "Schokoladerie Nord", "Süßes", "sweet", "Tafel 4.20|Dreierpack 11.50"),
    ("Nougat mit Meersalz", "Schokoladerie Nord", "Süßes", "sweet", "Tafel 4.50|Dreierpack 12.20"),
    ("Bunte Tüte", "Kiosk Berlin", "Süßes", "sweet", "Klein 3.00|Groß 5.50"),
    ("Lakritz Doppelsalz", "Kiosk Berlin", "Süßes", "sweet", "Default Title 3.80"),
    ("Salzmandeln", "Nussknacker", "Snacks", "snack", "150 g 5.90"),
    ("Kichererbsen Paprika", "Nussknacker", "Snacks", "snack", "150 g 4.40"),
    ("Studentenfutter", "Nussknacker", "Snacks", "snack", "200 g 6.30|1 kg 24.00"),
    ("Stadtmagazin Kiez", "Verlag Hinterhof", "Magazine", "magazine", "Aktuelle Ausgabe 9.80|Jahresabo 52.00"),
    ("Radmagazin Kette", "Verlag Hinterhof", "Magazine", "magazine", "Aktuelle Ausgabe 12.00"),
    ("Comic: Die U8", "Verlag Hinterhof", "Bücher", "book", "Band 1 15.00|Band 2 15.00|Band 3 16.00"),
    ("Berlin in 100 Kiosken", "Verlag Hinterhof", "Bücher", "book", "Default Title 24.00"),
    ("Notizbuch A5", "Papierladen", "Papeterie", "paper", "Blanko 12.90|Punktraster 12.90|Liniert 12.90"),
    ("Postkartenset", "Papierladen", "Papeterie", "paper", "Default Title 8.00"),
    ("Wandkalender", "Papierladen", "Papeterie", "paper", "Default Title 19.90"),
    ("Füller", "Papierladen", "Papeterie", "pen", "Schwarz 34.00|Grün 34.00"),
    ("Bleistifte", "Papierladen", "Papeterie", "pen", "12er 11.40"),
    ("Kiosk-Tasse", "Kiosk Berlin", "Tassen", "mug", "Weiß 13.50|Blau 13.50"),
    ("Emaillebecher", "Kiosk Berlin", "Tassen", "mug", "Default Title 11.00"),
    ("Kiosk-Shirt", "Kiosk Berlin", "Kleidung", "shirt", _SIZES.format("27.00")),
    ("Kiosk-Socken", "Kiosk Berlin", "Kleidung", "sock", "36-40 11.90|41-46 11.90"),
    ("Mütze", "Kiosk Berlin", "Kleidung", "hat", "Default Title 22.00"),
    ("Stoffbeutel", "Kiosk Berlin", "Taschen", "bag", "Schwarz 10.00|Natur 10.00"),
    ("Kulturbeutel", "Kiosk Berlin", "Taschen", "bag", "Default Title 28.50"),
    ("Olivenölseife", "Seifenkontor", "Pflege", "soap", "Stück 6.80|Dreierpack 17.90"),
    ("Lavendelseife", "Seifenkontor", "Pflege", "soap", "Stück 6.80|Dreierpack 17.90"),
    ("Duftkerze Späti", "Seifenkontor", "Kerzen", "candle", "Default Title 21.00"),
    ("Holzkreisel", "Spielbude", "Spielzeug", "toy", "Default Title 7.50"),
    ("Skatblatt", "Spielbude", "Spielzeug", "toy", "Default Title 6.00"),
    ("Geschenkgutschein", "Kiosk Berlin", "Gift Cards", "gift", "20 € 20.00|50 € 50.00"),
    ("Flaschenöffner", "Kiosk Berlin", "deleted:Haushalt", "knife", "Default Title 9.90"),
    ("Kühltasche", "Kiosk Berlin", "120:Taschen", "bag", "Default Title 18.00"),
    ("Kombucha", "Brause & Söhne", "210:Getränke", "drink", "6er 15.60"),
    ("Adventskalender", "Schokoladerie Nord", "300:Süßes", "sweet", "Default Title 29.90"),
    ("Puzzle Fernsehturm", "Spielbude", "400:Spielzeug", "toy", "500 Teile 17.90|1000 Teile 22.90"),
)

DEMO_SHOPS: tuple[DemoShop, ...] = (
    DemoShop(
        domain="harbor-and-pine.myshopify.com", name="Harbor & Pine", number=61_000_000_101,
        token="shpat_demo_harbor_and_pine", currency="USD", time_zone="America/New_York", country="US",
        taxes_included=False, daily_orders=7.5, shipping_fee=795, free_shipping_from=7_500,
        catalogue=HARBOR_CATALOGUE,
    ),
    DemoShop(
        domain="kiosk-berlin.myshopify.com", name="Kiosk Berlin", number=61_000_000_202,
        token="shpat_demo_kiosk_berlin", currency="EUR", time_zone="Europe/Berlin", country="DE",
        taxes_included=True, daily_orders=1.85, shipping_fee=490, free_shipping_from=3_900,
        catalogue=KIOSK_CATALOGUE,
    ),
)  # fmt: skip
