"""Affinity: products that are bought together more often than chance would have it.

For two products A and B over n orders: support = n(A,B) / n, confidence of A -> B = n(A,B) / n(A), lift = confidence /
(n(B) / n); a lift of 1 is chance.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

LEAST_ORDERS = 5
MOST_PRODUCTS = 1_000


@dataclass(frozen=True)
class Affinity:
    """Pairs of products, and over how much they were counted.

    `pairs` has one row for each direction of a pair: product_a, product_b (keys as given), n (orders with both),
    support, confidence (of A -> B), lift. `orders` is how many orders there were, `products` how many different
    products; of those sold often enough for a pair, the rarest `left_out` were not compared.
    """

    pairs: pd.DataFrame
    orders: int
    products: int
    left_out: int


def affinity(baskets: pd.DataFrame, by: Literal["lift", "n"] = "lift", most_products: int = MOST_PRODUCTS) -> Affinity:
    """Products bought together in at least LEAST_ORDERS orders, the strongest first, ties by n and then by key.

    `baskets` has a row for each order_id and product (any sortable key); repeated rows count once. Every order counts
    in n, those with a single product too. Only the `most_products` found in most orders are compared, as memory
    grows with their square.
    """
    order, orders = pd.factorize(baskets["order_id"])
    product, products = pd.factorize(baskets["product"], sort=True)
    table = sparse.csr_array(
        (np.ones(len(order), dtype=np.int32), (order, product)), shape=(len(orders), len(products))
    )
    table.sum_duplicates()
    table.data[:] = 1
    sold = np.asarray(table.sum(axis=0), dtype=np.int64).reshape(-1)
    often = np.flatnonzero(sold >= LEAST_ORDERS)  # a rarer product cannot be in a pair that is shown
    kept = np.sort(often[np.argsort(-sold[often], kind="stable")[:most_products]])
    some = table[:, kept]
    together = (some.T @ some).tocoo()
    shown = (together.row != together.col) & (together.data >= LEAST_ORDERS)
    a, b = kept[together.row[shown]], kept[together.col[shown]]
    n = together.data[shown].astype(np.int64)
    pairs = pd.DataFrame(
        {
            "product_a": products.take(a),
            "product_b": products.take(b),
            "n": n,
            "support": n / max(len(orders), 1),
            "confidence": n / sold[a],
            # From whole numbers in one order, so that both directions have the very same lift.
            "lift": n * len(orders) / (sold[a] * sold[b]),
        }
    )
    lift = pairs["lift"].to_numpy()
    keys = (b, a, -n, -lift) if by == "lift" else (b, a, -lift, -n)
    return Affinity(
        pairs=pairs.iloc[np.lexsort(keys)].reset_index(drop=True),
        orders=len(orders),
        products=len(products),
        left_out=len(often) - len(kept),
    )
