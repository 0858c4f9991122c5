"""An answer of each address, as the description of the API shows it. A test holds them against true answers."""

from typing import Any

_ABOUT = {
    "shop": "harbor-and-pine.myshopify.com", "currency": "USD", "time_zone": "America/New_York", "from": "2026-10-01",
    "to": "2026-10-31", "compared_period": {"from": "2026-08-31", "to": "2026-09-30"},
}  # fmt: skip
_ABOUT_LIST = {**_ABOUT, "compared_period": None}
_BUYER = {
    "buyer_id": 7410000000001, "customer_id": 7410000000001, "name": "Ada Byron", "orders": 3, "net_sales": "214.50",
    "last_order_at": "2026-10-28T14:03:11+00:00",
}  # fmt: skip
_MEASURES: dict[str, Any] = {
    "gross_sales": "1240.00", "discounts": "-40.00", "sales_reversals": "-100.00", "net_sales": "1100.00",
    "shipping": "60.00", "taxes": "88.00", "duties": "0.00", "additional_fees": "0.00", "return_fees": "0.00",
    "total_sales": "1248.00", "tips": "0.00", "gift_card_sales": "0.00", "orders": 20, "average_order_value": "60.00",
    "units_sold": 31, "units_returned": 2, "customers": 18, "new_customers": 11, "returning_customers": 8,
    "returning_customer_rate": 0.42, "refund_rate": 0.083, "discount_rate": 0.032, "unclassified": 0,
}  # fmt: skip

EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/shops"): {
        "data": [
            {
                "shop": "harbor-and-pine.myshopify.com", "name": "Harbor & Pine", "currency": "USD",
                "time_zone": "America/New_York", "role": "analyst", "data_version": 412,
                "synced_at": "2026-11-01T09:00:00+00:00",
            }
        ]
    },
    ("GET", "/metrics"): {
        "shop": "harbor-and-pine.myshopify.com",
        "data": [
            {
                "metric": "net_sales", "label": "Net sales", "unit": "money",
                "definition": "Gross sales plus discounts plus sales reversals, where discounts and reversals are "
                "negative.",
                "good": "up",
            }
        ],
    },
    ("GET", "/metrics/{metric}"): {
        **_ABOUT, "metric": "net_sales", "unit": "money", "grain": "day", "total": "1100.00", "compared": "1000.00",
        "change": 0.1, "why_unknown": None, "breakdown": None,
        "data": [{"start": "2026-10-01", "net_sales": "55.00"}],
    },
    ("GET", "/report"): {
        **_ABOUT, "grain": "day", "totals": _MEASURES,
        "top_customers": [{"id": 7410000000001, "name": "Ada Byron", "orders": 3, "net_sales": "214.50"}],
        "top_products": [{"id": 8120000000001, "title": "Mug", "units": 12, "net_sales": "180.00"}],
        "compared": _MEASURES, "data": [{"start": "2026-10-01", **_MEASURES}],
    },
    ("GET", "/customers/top"): {**_ABOUT_LIST, "data": [_BUYER]},
    ("GET", "/products/top"): {
        **_ABOUT_LIST, "data": [{"product_id": 8120000000001, "title": "Mug", "units": 12, "net_sales": "180.00"}],
    },
    ("GET", "/orders"): {
        **_ABOUT_LIST, "next": "2026-10-02.5510000000100",
        "data": [
            {
                "id": 5510000000001, "name": "#1001", "processed_at": "2026-10-01T15:20:00+00:00", "day": "2026-10-01",
                "customer_id": 7410000000001, "source": "web", "country": "US", "discount_codes": "",
                "financial_status": "PAID", "fulfillment_status": "FULFILLED", "cancelled_at": None,
                "updated_at": "2026-10-02T08:00:00+00:00", "current_total": "64.80", "units": 2, "net_sales": "60.00",
            }
        ],
    },
    ("GET", "/orders/{order_id}"): {
        "id": 5510000000001, "name": "#1001", "processed_at": "2026-10-01T15:20:00+00:00",
        "customer_id": 7410000000001, "buyer_id": 7410000000001, "source": "web", "country": "US",
        "discount_codes": "", "financial_status": "PAID", "fulfillment_status": "FULFILLED", "cancelled_at": None,
        "current_total": "64.80", "customer_name": "Ada Byron", "original_total": "64.80", "derived": False,
        "updated_at": "2026-10-02T08:00:00+00:00",
        "lines": [
            {
                "title": "Mug", "variant_title": "Blue", "sku": "MUG-B", "vendor": "Harbor", "quantity": 2,
                "current_quantity": 2, "is_gift_card": False,
            }
        ],
        "ledger": [
            {
                "day": "2026-10-01", "happened_at": "2026-10-01T15:20:00+00:00", "reason": "ORDER",
                "action_type": "ORDER", "line_type": "PRODUCT", "measure": "gross_sales", "quantity": 2,
                "discount": "0.00", "tax_amount": "4.80", "total_amount": "64.80", "in_first_agreement": True,
                "unclassified": False, "title": "Mug",
            }
        ],
    },
    ("GET", "/customers"): {
        "shop": "harbor-and-pine.myshopify.com", "currency": "USD", "next": "7410000000001", "data": [_BUYER],
    },
    ("GET", "/products"): {
        **_ABOUT_LIST, "next": "8120000000001",
        "data": [
            {
                "id": 8120000000001, "title": "Mug", "status": "ACTIVE", "product_type": "Kitchen", "vendor": "Harbor",
                "category": None, "updated_at": "2026-09-01T10:00:00+00:00", "units": 12, "net_sales": "180.00",
            }
        ],
    },
    ("GET", "/cohorts"): {
        "shop": "harbor-and-pine.myshopify.com", "currency": "USD", "measure": "retention",
        "data": [{"first_month": "2026-01-01", "customers": 40, "month": 1, "retention": 0.25}],
    },
    ("GET", "/checkouts"): {
        **_ABOUT_LIST,
        "data": [
            {"day": "2026-10-01", "left": 4, "left_value": "310.00", "recovered": 1, "recovered_value": "55.00"}
        ],
    },
    ("GET", "/sync"): {
        "synced_at": "2026-11-01T09:00:00+00:00", "running": False, "requested": False,
        "data": [
            {
                "stream": "orders", "label": "Orders", "succeeded_at": "2026-11-01T09:00:00+00:00",
                "due_at": "2026-11-01T10:00:00+00:00", "failures": 0, "problem": None, "state": "ok",
                "synced_until": "2026-11-01T08:59:00+00:00", "history_from": None, "every_s": 3600, "sees_days": None,
                "scope_for_more": None,
            }
        ],
    },
    ("POST", "/sync"): {"requested": True},
    ("GET", "/sync/runs"): {
        "data": [
            {
                "run_id": 91, "trigger": "schedule", "outcome": "ok", "stage": "", "stream": "", "expected": None,
                "done": 12, "counts": {"orders": {"read": 12, "inserted": 3, "updated": 1, "unchanged": 8}},
                "problem": None, "started_at": "2026-11-01T09:00:00+00:00", "updated_at": "2026-11-01T09:00:04+00:00",
                "finished_at": "2026-11-01T09:00:04+00:00", "error_class": None, "requests": 6, "cost": 120,
                "bytes": 80_000, "windows": {"orders": ["2026-11-01T07:58:00+00:00", "2026-11-01T08:59:00+00:00"]},
            }
        ]
    },
    ("GET", "/users"): {
        "data": [{"id": 1, "email": "ana@example.com", "name": "Ana", "role": "owner", "active": True}]
    },
    ("GET", "/webhooks"): {
        "data": [
            {
                "topic": "orders/create", "label": "Order placed", "state": "subscribed", "problem": None,
                "received_at": "2026-11-01T09:12:45+00:00", "outcome": "applied",
            }
        ]
    },
    ("POST", "/webhooks"): {"problems": {"customers/update": "Shopify refused the webhook: no access"}},
}  # fmt: skip
