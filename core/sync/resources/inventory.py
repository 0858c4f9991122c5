"""Stock: what each variant costs and how many lie where.

Read whole each time, by bulk operation: it costs none of the shop's points, inventoryItems takes no sort key, and an
item's updatedAt says nothing of its quantities, so a filter on it would miss most changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from core.db.models import InventoryItem, InventoryLevel, Location
from core.db.upsert import delete_where, fetch, insert, upsert
from core.shopify import pages, queries
from core.shopify.bulk import MalformedLine
from core.sync.resources.resource import (
    Counts,
    Document,
    Resource,
    ShopContext,
    Topic,
    fingerprint,
    gid_number,
    moment,
    required,
    shop_money,
    sort_batch,
    text_of,
)

QUANTITIES = ("available", "on_hand", "committed", "incoming", "reserved")


@dataclass(frozen=True)
class InventoryRows:
    """One inventory item as it is stored, with the places its levels are at."""

    item: dict[str, Any]
    levels: list[dict[str, Any]]
    locations: list[dict[str, Any]]


def inventory_rows(document: Document, shop: ShopContext) -> InventoryRows:
    """The rows of one inventory item. Raises MalformedRow."""
    item_id = gid_number(document.get("id"))
    cost = document.get("unitCost")
    item: dict[str, Any] = {
        "id": item_id,
        "sku": text_of(document, "sku"),
        "tracked": required(document, "tracked", bool),
        "unit_cost": shop_money({"shopMoney": cost}, shop.currency) if cost is not None else None,
        "updated_at": moment(document.get("updatedAt")),
    }
    levels = {level["location_id"]: level for level in (_level(one, item_id) for one in document["inventoryLevels"])}
    places = {
        gid_number(location.get("id")): text_of(location, "name")
        for location in (level["location"] for level in document["inventoryLevels"])
    }
    ordered = [levels[key] for key in sorted(levels)]
    locations = [{"id": key, "name": places[key]} for key in sorted(places)]
    item["fingerprint"] = fingerprint([item, ordered, locations])
    return InventoryRows(item, ordered, locations)


def _level(level: Document, item_id: int) -> dict[str, Any]:
    told = {one["name"]: required(one, "quantity", int) for one in level["quantities"]}
    return {
        "inventory_item_id": item_id,
        "location_id": gid_number(level["location"].get("id")),
        **{name: told.get(name) for name in QUANTITIES},
    }


def store(session: Session, shop: ShopContext, documents: Sequence[Document | MalformedLine]) -> Counts:
    """Store a batch of inventory items; the levels of each are replaced as a set."""
    batch = sort_batch(
        session,
        "inventory",
        InventoryItem,
        documents,
        lambda document: inventory_rows(document, shop),
        lambda rows: rows.item,
    )
    changed = batch.changed.values()
    upsert(session, Location, list({place["id"]: place for rows in changed for place in rows.locations}.values()))
    upsert(session, InventoryItem, [rows.item for rows in changed], newer_by="updated_at")
    delete_where(session, InventoryLevel, "inventory_item_id", batch.updated)
    insert(session, InventoryLevel, [level for rows in changed for level in rows.levels])
    return batch.counts


def prune(session: Session, found: Sequence[int]) -> int:
    """Remove the items that are not among the ids found, with their levels; how many."""
    return remove(session, sorted(set(session.exec(select(InventoryItem.id))) - set(found)))


def remove(session: Session, ids: Sequence[int]) -> int:
    """Remove the items with these ids that are there, with their levels; how many."""
    known = [row.id for row in fetch(session, InventoryItem, ("id",), "id", ids)]
    delete_where(session, InventoryLevel, "inventory_item_id", known)
    delete_where(session, InventoryItem, "id", known)
    return len(known)


INVENTORY = Resource(
    stream="inventory",
    label="Inventory",
    scopes=("read_inventory",),
    more_scopes=("read_locations",),  # what a location is called
    bulk_query=queries.inventory_bulk,
    connections=queries.INVENTORY_CONNECTIONS,
    store=store,
    prune=prune,
    topics=(
        Topic("inventory_levels/update", key="inventory_item_id", fields=("inventory_item_id", "updated_at")),
        Topic("inventory_items/update"),
        Topic("inventory_items/delete", fields=("id",)),
    ),
    by_id=pages.items_of,
    gone=remove,
)
