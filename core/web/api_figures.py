"""Figures for other programs, by the functions that the pages read: metrics, reports, the best of a period, cohorts.

Each function takes who asks and what is asked, and gives what was found: the REST API and assistants ask the same.
"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from core.analytics import breakdowns, frames, frames_checkouts, frames_customers
from core.analytics.breakdowns import BREAKDOWN
from core.analytics.cohorts import cohorts
from core.analytics.metrics import METRIC, METRICS
from core.analytics.period import FIRST_DAY, PRESET, Grain, Period, automatic_grain, shop_today
from core.analytics.records import records
from core.analytics.report import Report, as_json, measured, written
from core.db.engine import shop_session
from core.db.filters import Filters
from core.errors import InputError
from core.web.api_door import Asked, Caller, Found

MOST_ROWS = 500
_KEPT_DAYS = 400  # of longer periods the figures are not kept in memory
_T = TypeVar("_T")


def any_of(names: Iterable[str]) -> Any:
    """A field that takes one of these names; its schema lists them."""
    known: list[Any] = list(names)
    return Field(pattern=f"^({'|'.join(known)})$", json_schema_extra={"enum": known})


Slug = Annotated[str, any_of(METRIC)]
By = Annotated[str, any_of(BREAKDOWN)]
PresetSlug = Annotated[str, any_of(PRESET)]
# PostgreSQL takes no NUL in a text.
Value = Annotated[str, Field(pattern="^[^\\x00]*$", max_length=255)]


class Range(BaseModel, extra="forbid"):
    """Which days of the store's calendar, what to compare them with, and what they are narrowed to."""

    start: Annotated[date | None, Query(alias="from", description="The first day.")] = None
    end: Annotated[date | None, Query(alias="to", description="The last day, included.")] = None
    period: Annotated[PresetSlug, Query(description="Instead of from and to.")] = "30d"
    compare: Annotated[Literal["none", "previous", "year"], Query(description="With what to compare.")] = "none"
    grain: Annotated[Literal["auto", "day", "week", "month"], Query(description="The buckets.")] = "auto"
    channel: Annotated[list[Value], Query(max_length=50, description="Only orders of these.")] = []
    country: Annotated[list[Value], Query(max_length=50, description="Only orders of these.")] = []
    customer_kind: Annotated[
        list[Literal["new", "returning", ""]], Query(max_length=3, description="Only orders of such customers.")
    ] = []
    product_type: Annotated[list[Value], Query(max_length=50, description="Only lines of such products.")] = []
    vendor: Annotated[list[Value], Query(max_length=50, description="Only lines of such products.")] = []


class Best(Range):
    """A period, and how many of the best of it."""

    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 10


class BestCustomers(Best):
    """The same, and what they are ranked by."""

    by: Annotated[Literal["net_sales", "orders"], Query(description="What they are ranked by.")] = "net_sales"


class Broken(Range):
    """A period, and what it is taken apart by."""

    breakdown: Annotated[By | None, Query(description="Rows are its values instead of buckets.")] = None


def metrics(who: Asked) -> Found:
    """Every metric with its unit and definition."""
    rows = [
        {"metric": each.slug, "label": each.label, "unit": each.unit, "definition": each.definition, "good": each.good}
        for each in METRICS
    ]
    return Found({"shop": who.shop.domain}, rows)


def metric(who: Asked, metric: Slug, asked: Annotated[Broken, Query()]) -> Found:
    """One metric of a period: the whole, each bucket, the compared period, and taken apart by a breakdown."""
    period, against, grain = periods(who, asked)
    of, currency = METRIC[metric], who.shop.currency
    totals, by = _measured(who, asked, period, grain)
    total, earlier = totals[metric], _measured(who, asked, against, grain)[0][metric] if against else None
    body = {
        **about(who, period, against), "metric": metric, "unit": of.unit, "grain": grain,
        "total": written(total, of.unit, currency), "compared": written(earlier, of.unit, currency),
        "change": of.change(total, earlier), "why_unknown": of.why_unknown if total is None else None,
        "breakdown": asked.breakdown,
    }  # fmt: skip
    if asked.breakdown is not None:
        return Found(body, _taken_apart(who, asked, asked.breakdown, metric))
    rows = [
        {"start": row["start"].isoformat(), metric: written(row[metric], of.unit, currency)}
        for row in by.to_dict("records")
    ]
    return Found(body, rows)


def _taken_apart(who: Caller, asked: Range, breakdown: str, metric: str) -> list[dict[str, Any]]:
    of = BREAKDOWN[breakdown]
    if metric not in of.columns:
        raise InputError(
            f"{METRIC[metric].label} is not known by {of.label.lower()}. Ask for one of {', '.join(of.columns)}."
        )
    period, _, _ = periods(who, asked)
    ask = _kept_breakdown if period.days <= _KEPT_DAYS else _kept_breakdown.__wrapped__
    frame = ask(who.shop.shop_id, who.shop.data_version, _filters(asked), breakdown, period)
    return [
        {
            "value": row["value"], "name": row["name"],
            metric: written(row[metric], METRIC[metric].unit, who.shop.currency), "share_of_net_sales": row["share"],
        }
        for row in frame.to_dict("records")
    ]  # fmt: skip


def whole_report(who: Asked, asked: Annotated[Range, Query()]) -> Found:
    """Every metric of a period by bucket, with the ten best customers and products."""
    period, against, grain = periods(who, asked)
    totals, by = _measured(who, asked, period, grain)
    customers = read(who, asked, lambda session: frames.top_customers(session, period, 10))
    products = read(who, asked, lambda session: frames.top_products(session, period, 10))
    shop = who.shop
    if not shop.personal_data:
        customers["name"] = None
    found = as_json(Report(period, grain, totals, by, customers, products), shop.domain, shop.currency, shop.time_zone)
    compared = None
    if against:
        earlier = _measured(who, asked, against, grain)[0]
        compared = {name: written(value, METRIC[name].unit, shop.currency) for name, value in earlier.items()}
    rows = [{"start": row.pop("day"), **row} for row in found.pop("by")]
    return Found({**about(who, period, against), "grain": grain, **found, "compared": compared}, rows)


def top_customers(who: Asked, asked: Annotated[BestCustomers, Query()]) -> Found:
    """The best customers of a period; names only where the store fetches personal data."""
    period, _, _ = periods(who, asked)
    frame = read(who, asked, lambda session: frames.top_customers(session, period, asked.limit, asked.by))
    return Found(about(who, period, None), nameless(who, records(frame, who.shop.currency, ["net_sales"])))


def top_products(who: Asked, asked: Annotated[Best, Query()]) -> Found:
    """The products with the highest net sales of a period."""
    period, _, _ = periods(who, asked)
    frame = read(who, asked, lambda session: frames.top_products(session, period, asked.limit))
    return Found(about(who, period, None), records(frame, who.shop.currency, ["net_sales"]))


def cohort_table(who: Asked, measure: Literal["retention", "ltv", "orders_per_customer"] = "retention") -> Found:
    """Customers by the month of their first order, and what they did in month k after it; only months that are over."""
    today, currency = shop_today(who.shop.time_zone), who.shop.currency
    with shop_session(who.shop.shop_id) as session:
        table = cohorts(frames_customers.cohort_cells(session), today).table(measure)
    rows = [
        {
            "first_month": row["first_month"].isoformat(), "customers": row["customers"], "month": row["k"],
            measure: written(round(row["value"]), "money", currency) if measure == "ltv" else row["value"],
        }
        for row in table.to_dict("records")
    ]  # fmt: skip
    return Found({"shop": who.shop.domain, "currency": currency, "measure": measure}, rows)


def checkouts(who: Asked, asked: Annotated[Range, Query()]) -> Found:
    """Abandoned checkouts by day: how many were left, for how much, and how many came back."""
    period, _, _ = periods(who, asked)
    frame = read(who, asked, lambda session: frames_checkouts.checkout_days(session, period)).reset_index()
    frame["day"] = frame["day"].dt.date
    return Found(about(who, period, None), records(frame, who.shop.currency, ["left_value", "recovered_value"]))


def nameless(who: Caller, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without names of customers, unless the store's owner wants personal data here."""
    if who.shop.personal_data:
        return rows
    return [{**row, "name": None} for row in rows]


def periods(who: Caller, asked: Range) -> tuple[Period, Period | None, Grain]:
    """The period, the one to compare with, the grain. Raises InputError."""
    today = shop_today(who.shop.time_zone)
    if (asked.start is None) != (asked.end is None):
        raise InputError("Give both from and to, or neither of them.")
    if asked.start is not None and asked.end is not None:
        if asked.start < FIRST_DAY or asked.end > today:
            raise InputError(f"Days lie between {FIRST_DAY} and {today}, the store's today.")
        period = Period(asked.start, asked.end)
    elif asked.period == "all":
        with shop_session(who.shop.shop_id) as session:
            span = frames.data_span(session)
        period = PRESET["all"].resolve(today, span.start if span else None)
    else:
        period = PRESET[asked.period].resolve(today)
    against = {"none": lambda: None, "previous": period.previous, "year": period.previous_year}[asked.compare]
    return period, against(), automatic_grain(period) if asked.grain == "auto" else asked.grain


def read(who: Caller, asked: Range, question: Callable[[Any], _T]) -> _T:
    """What a function of analytics answers for the store, narrowed as asked."""
    with shop_session(who.shop.shop_id, _filters(asked)) as session:
        return question(session)


def about(who: Caller, period: Period, against: Period | None) -> dict[str, Any]:
    """Which store and days an answer is about."""
    compared = {"from": against.start.isoformat(), "to": against.end.isoformat()} if against else None
    return {
        "shop": who.shop.domain, "currency": who.shop.currency, "time_zone": who.shop.time_zone,
        "from": period.start.isoformat(), "to": period.end.isoformat(), "compared_period": compared,
    }  # fmt: skip


def _filters(asked: Range) -> Filters:
    chosen = (asked.channel, asked.country, asked.customer_kind, asked.product_type, asked.vendor)
    channel, country, kind, product_type, vendor = (tuple(sorted(set(values))) for values in chosen)
    return Filters(channel, country, kind, product_type, vendor)


def _measured(who: Caller, asked: Range, period: Period, grain: Grain) -> Any:
    ask = _kept if period.days <= _KEPT_DAYS else _kept.__wrapped__
    return ask(who.shop.shop_id, who.shop.data_version, _filters(asked), period, grain)


@lru_cache(maxsize=64)
def _kept(shop_id: int, _version: int, filters: Filters, period: Period, grain: Grain) -> Any:
    """Figures as of a version of the data: the next version is another key."""
    with shop_session(shop_id, filters) as session:
        return measured(session, period, grain)


@lru_cache(maxsize=16)
def _kept_breakdown(shop_id: int, _version: int, filters: Filters, breakdown: str, period: Period) -> Any:
    """The same of a breakdown."""
    with shop_session(shop_id, filters) as session:
        return breakdowns.broken_down(session, BREAKDOWN[breakdown], period, None)
