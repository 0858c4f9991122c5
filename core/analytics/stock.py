"""Stock: how long it lasts at the pace of the last 30 days, what is sold out, what lies idle."""

import math

import pandas as pd

COVER_DAYS = 30
DEAD_AFTER_DAYS = 90
STATES = ("sold_out", "selling", "dead")


def stock(levels: pd.DataFrame, month: pd.DataFrame, quarter: pd.DataFrame) -> pd.DataFrame:
    """Every tracked product with its days of cover, those that run out soonest first, ties by title.

    `levels` is frames_products.stock_levels(), `month` and `quarter` its product_sales() of the last COVER_DAYS and
    DEAD_AFTER_DAYS. Columns added: sold (net units of the last COVER_DAYS), cover (days: available / (sold /
    COVER_DAYS), infinite when nothing was sold net, 0 when nothing is left), state: sold_out (nothing available),
    dead (available, but not one piece sold in DEAD_AFTER_DAYS), else selling.
    """
    sold = _units(month, "units_sold") - _units(month, "units_returned")
    pieces = _units(quarter, "units_sold")
    net = [int(sold.get(product, 0)) for product in levels["product_id"]]
    moved = [int(pieces.get(product, 0)) for product in levels["product_id"]]
    available = levels["available"].tolist()
    frame = levels.assign(
        sold=pd.Series(net, index=levels.index, dtype="int64"),
        cover=pd.Series(map(_cover, available, net), index=levels.index, dtype="float64"),
        state=pd.Series(map(_state, available, moved), index=levels.index, dtype=object),
    )
    return frame.sort_values(["cover", "title", "product_id"], ignore_index=True)


def _units(sales: pd.DataFrame, column: str) -> "pd.Series[int]":
    return sales.groupby("product_id")[column].sum()


def _cover(available: int, sold: int) -> float:
    if available <= 0:
        return 0.0
    return available * COVER_DAYS / sold if sold > 0 else math.inf


def _state(available: int, sold: int) -> str:
    if available <= 0:
        return "sold_out"
    return "selling" if sold > 0 else "dead"
