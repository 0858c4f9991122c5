"""Money as it is stored: integers of the currency's minor unit."""

from decimal import Decimal
from functools import lru_cache

from core.errors import MalformedRow

# ISO 4217 minor units that are not 2.
_EXPONENTS = {
    code: digits
    for digits, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}


_TOO_LARGE = 10**15  # for a real sale; thousands of smaller ones add up within 64 bits


def exponent(currency: str) -> int:
    """Decimals of a currency by ISO 4217: JPY 0, USD 2, KWD 3."""
    return _EXPONENTS.get(currency, 2)


@lru_cache(maxsize=1 << 16)  # prices repeat, and reading one costs more than looking it up
def to_minor(amount: str, currency: str) -> int:
    """Minor units of a decimal string such as Shopify's "15.0". Raises MalformedRow if it is no exact amount."""
    try:
        minor = Decimal(amount).scaleb(exponent(currency))
        if abs(minor) < _TOO_LARGE and minor == (whole := int(minor)):
            return whole
    except (ArithmeticError, ValueError, TypeError):
        pass
    raise MalformedRow(f"{amount!r} is not an amount in {currency}")


def from_minor(minor: int, currency: str) -> Decimal:
    """The exact amount of minor units: 1500 in USD is Decimal("15.00")."""
    return Decimal(minor).scaleb(-exponent(currency))
