"""Every GraphQL text sent to Shopify (Admin API 2026-10); tests/contract checks each against the real schema.

A query is built for what the token may read (`Grants`), because one denied field fails a whole bulk
operation. Paged and bulk queries select the same fields, so one mapping serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

API_VERSION = "2026-10"


@dataclass(frozen=True)
class Grants:
    """What may be asked for: granted scopes, and whether the merchant wants personal fields."""

    scopes: frozenset[str]
    personal_data: bool = False

    def has(self, scope: str) -> bool:
        """Whether a read scope is granted; a write scope implies it."""
        return scope in self.scopes or scope.replace("read_", "write_") in self.scopes


@dataclass(frozen=True)
class Connection:
    """A nested connection of a bulk query; the key `marked_by` is in each of its rows and in no sibling's."""

    name: str
    marked_by: str
    nested: tuple["Connection", ...] = ()


_SHOP_MONEY = "{ shopMoney { amount currencyCode } }"

SHOP = """query Shop {
  shop { id name myshopifyDomain currencyCode ianaTimezone taxesIncluded plan { publicDisplayName } }
  currentAppInstallation { id accessScopes { handle } }
}"""

# With {"query": None, "limit": None} everything is counted; Shopify's own default stops at 10,000.
ORDERS_COUNT = """query OrdersCount($query: String, $limit: Int) {
  ordersCount(query: $query, limit: $limit) { count precision } }"""
CUSTOMERS_COUNT = """query CustomersCount($query: String, $limit: Int) {
  customersCount(query: $query, limit: $limit) { count precision } }"""
PRODUCTS_COUNT = """query ProductsCount($query: String, $limit: Int) {
  productsCount(query: $query, limit: $limit) { count precision } }"""
CHECKOUTS_COUNT = """query CheckoutsCount($query: String, $limit: Int) {
  abandonedCheckoutsCount(query: $query, limit: $limit) { count precision } }"""


def _order_fields(grants: Grants) -> str:
    customer = "customer { id }" if grants.has("read_customers") else ""
    personal = (
        "email shippingAddress { countryCodeV2 } billingAddress { countryCodeV2 }" if grants.personal_data else ""
    )
    return f"""id name createdAt processedAt updatedAt cancelledAt test currencyCode taxesIncluded
      displayFinancialStatus displayFulfillmentStatus sourceName discountCodes {customer} {personal}
      currentTotalPriceSet {_SHOP_MONEY} originalTotalPriceSet {_SHOP_MONEY} totalShippingPriceSet {_SHOP_MONEY}
      totalTaxSet {_SHOP_MONEY} totalTipReceivedSet {_SHOP_MONEY}
      refunds {{ id createdAt processedAt updatedAt totalRefundedSet {_SHOP_MONEY} }}"""


def _line_fields(grants: Grants) -> str:
    product = "product { id } variant { id }" if grants.has("read_products") else ""
    return f"""id title variantTitle sku vendor quantity currentQuantity isGiftCard {product}
        originalTotalSet {_SHOP_MONEY} discountAllocations {{ allocatedAmountSet {_SHOP_MONEY} }}
        taxLines {{ priceSet {_SHOP_MONEY} }}"""


_SALE_FIELDS = f"""id actionType lineType quantity totalAmount {_SHOP_MONEY} totalTaxAmount {_SHOP_MONEY}
          totalDiscountAmountBeforeTaxes {_SHOP_MONEY}
          ... on ProductSale {{ lineItem {{ id }} }} ... on GiftCardSale {{ lineItem {{ id }} }}"""

_PRODUCT_FIELDS = """id title handle status productType vendor tags isGiftCard createdAt updatedAt
      category { id fullName } variantsCount { count precision }"""


def _variant_fields(grants: Grants) -> str:
    stock = "inventoryItem { id }" if grants.has("read_inventory") else ""
    return f"id title sku price position createdAt updatedAt {stock}"


def _customer_fields(grants: Grants) -> str:
    personal = "displayName defaultEmailAddress { emailAddress }" if grants.personal_data else ""
    return f"id createdAt updatedAt state numberOfOrders {personal}"


def orders_page(grants: Grants) -> str:
    """Orders by updatedAt with the first lines, agreements and sales of each; the rest is drained."""
    return f"""query Orders($first: Int!, $after: String, $query: String,
  $lines: Int!, $agreements: Int!, $sales: Int!) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ {_order_fields(grants)}
      lineItems(first: $lines) {{ nodes {{ {_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }}
      agreements(first: $agreements) {{
        edges {{ cursor node {{ id happenedAt reason
          sales(first: $sales) {{ nodes {{ {_SALE_FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
        pageInfo {{ hasNextPage endCursor }} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


def orders_by_id(grants: Grants) -> str:
    """Orders by their ids, as orders_page() has them; what is gone, or is none, comes without an id."""
    return f"""query OrdersById($ids: [ID!]!, $lines: Int!, $agreements: Int!, $sales: Int!) {{
  nodes(ids: $ids) {{ ... on Order {{ {_order_fields(grants)}
    lineItems(first: $lines) {{ nodes {{ {_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }}
    agreements(first: $agreements) {{
      edges {{ cursor node {{ id happenedAt reason
        sales(first: $sales) {{ nodes {{ {_SALE_FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
      pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


def order_lines(grants: Grants) -> str:
    """The next line items of one order."""
    return f"""query OrderLines($id: ID!, $first: Int!, $after: String) {{
  order(id: $id) {{ id lineItems(first: $first, after: $after) {{
    nodes {{ {_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }}
}}"""


def order_agreements(_: Grants) -> str:
    """The next agreements of one order, each with its first sales."""
    return f"""query OrderAgreements($id: ID!, $first: Int!, $after: String, $sales: Int!) {{
  order(id: $id) {{ id agreements(first: $first, after: $after) {{
    edges {{ cursor node {{ id happenedAt reason
      sales(first: $sales) {{ nodes {{ {_SALE_FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
    pageInfo {{ hasNextPage endCursor }} }} }}
}}"""


def agreement_sales(_: Grants) -> str:
    """The next sales of one agreement: the first one after the cursor `after` (an agreement is no Node)."""
    return f"""query AgreementSales($id: ID!, $after: String, $first: Int!, $salesAfter: String) {{
  order(id: $id) {{ id agreements(first: 1, after: $after) {{ nodes {{ id
    sales(first: $first, after: $salesAfter) {{
      nodes {{ {_SALE_FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}
    pageInfo {{ hasNextPage endCursor }} }} }}
}}"""


REFUND_LINES = f"""query RefundLines($id: ID!, $first: Int!, $after: String, $shippingAfter: String) {{
  node(id: $id) {{ ... on Refund {{ id
    refundLineItems(first: $first, after: $after) {{
      nodes {{ id quantity lineItem {{ id }} subtotalSet {_SHOP_MONEY} totalTaxSet {_SHOP_MONEY} }}
      pageInfo {{ hasNextPage endCursor }} }}
    refundShippingLines(first: $first, after: $shippingAfter) {{
      nodes {{ id subtotalAmountSet {_SHOP_MONEY} taxAmountSet {_SHOP_MONEY} }} pageInfo {{ hasNextPage endCursor }} }}
  }} }}
}}"""


def _filtered(root: str, filter: str | None) -> str:
    return f'{root}(query: "{filter}")' if filter else root


def orders_bulk(grants: Grants, filter: str | None = None) -> str:
    """Every order, or those of a filter, with all lines, agreements and sales: 4 connections, 2 levels."""
    return f"""{{ {_filtered("orders", filter)} {{ edges {{ node {{ {_order_fields(grants)}
      lineItems {{ edges {{ node {{ {_line_fields(grants)} }} }} }}
      agreements {{ edges {{ node {{ id happenedAt reason
        sales {{ edges {{ node {{ {_SALE_FIELDS} }} }} }} }} }} }} }} }} }} }}"""


def products_page(grants: Grants) -> str:
    """Products by updatedAt with the first variants of each; the rest is drained."""
    return f"""query Products($first: Int!, $after: String, $query: String, $variants: Int!) {{
  products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ {_PRODUCT_FIELDS}
      variants(first: $variants) {{ nodes {{ {_variant_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


def products_by_id(grants: Grants) -> str:
    """Products by their ids, as products_page() has them."""
    return f"""query ProductsById($ids: [ID!]!, $variants: Int!) {{
  nodes(ids: $ids) {{ ... on Product {{ {_PRODUCT_FIELDS}
    variants(first: $variants) {{ nodes {{ {_variant_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


def product_variants(grants: Grants) -> str:
    """The next variants of one product."""
    return f"""query ProductVariants($id: ID!, $first: Int!, $after: String) {{
  product(id: $id) {{ id variants(first: $first, after: $after) {{
    nodes {{ {_variant_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }}
}}"""


def products_bulk(grants: Grants, filter: str | None = None) -> str:
    """Every product, or those of a filter, with all variants."""
    return f"""{{ {_filtered("products", filter)} {{ edges {{ node {{ {_PRODUCT_FIELDS}
      variants {{ edges {{ node {{ {_variant_fields(grants)} }} }} }} }} }} }} }}"""


def customers_page(grants: Grants) -> str:
    """Customers by updatedAt."""
    return f"""query Customers($first: Int!, $after: String, $query: String) {{
  customers(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ {_customer_fields(grants)} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


def customers_by_id(grants: Grants) -> str:
    """Customers by their ids."""
    return f"""query CustomersById($ids: [ID!]!) {{
  nodes(ids: $ids) {{ ... on Customer {{ {_customer_fields(grants)} }} }} }}"""


def customers_bulk(grants: Grants, filter: str | None = None) -> str:
    """Every customer, or those of a filter."""
    return f"{{ {_filtered('customers', filter)} {{ edges {{ node {{ {_customer_fields(grants)} }} }} }} }}"


def _checkout_fields(grants: Grants) -> str:
    customer = "customer { id }" if grants.has("read_customers") else ""
    country = "shippingAddress { countryCodeV2 } billingAddress { countryCodeV2 }" if grants.personal_data else ""
    return f"""id name createdAt updatedAt completedAt discountCodes {customer} {country}
      subtotalPriceSet {_SHOP_MONEY} totalDiscountSet {_SHOP_MONEY} totalTaxSet {_SHOP_MONEY}
      totalPriceSet {_SHOP_MONEY}"""


def _checkout_line_fields(grants: Grants) -> str:
    product = "product { id } variant { id }" if grants.has("read_products") else ""
    return f"""id title variantTitle sku quantity {product} originalUnitPriceSet {_SHOP_MONEY}
        discountedTotalPriceSet {_SHOP_MONEY}"""


def checkouts_page(grants: Grants) -> str:
    """Checkouts that were left, by createdAt: there is no sort key for updatedAt."""
    return f"""query AbandonedCheckouts($first: Int!, $after: String, $query: String, $lines: Int!) {{
  abandonedCheckouts(first: $first, after: $after, query: $query, sortKey: CREATED_AT) {{
    nodes {{ {_checkout_fields(grants)}
      lineItems(first: $lines) {{ nodes {{ {_checkout_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


def checkouts_by_id(grants: Grants) -> str:
    """Abandoned checkouts by their ids, as checkouts_page() has them."""
    return f"""query CheckoutsById($ids: [ID!]!, $lines: Int!) {{
  nodes(ids: $ids) {{ ... on AbandonedCheckout {{ {_checkout_fields(grants)}
    lineItems(first: $lines) {{
      nodes {{ {_checkout_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


def checkout_lines(grants: Grants) -> str:
    """The next lines of one checkout."""
    return f"""query CheckoutLines($id: ID!, $first: Int!, $after: String) {{
  node(id: $id) {{ ... on AbandonedCheckout {{ id lineItems(first: $first, after: $after) {{
    nodes {{ {_checkout_line_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


def checkouts_bulk(grants: Grants, filter: str | None = None) -> str:
    """Every checkout that was left, or those of a filter, with all lines; recovered ones too."""
    return f"""{{ {_filtered("abandonedCheckouts", filter)} {{ edges {{ node {{ {_checkout_fields(grants)}
      lineItems {{ edges {{ node {{ {_checkout_line_fields(grants)} }} }} }} }} }} }} }}"""


_ITEM_FIELDS = "id sku tracked updatedAt unitCost { amount currencyCode }"


def _level_fields(grants: Grants) -> str:
    name = "name" if grants.has("read_locations") else ""
    return f"""id location {{ id {name} }}
        quantities(names: ["available", "on_hand", "committed", "incoming", "reserved"]) {{ name quantity }}"""


def inventory_bulk(grants: Grants, filter: str | None = None) -> str:
    """Every inventory item, or those of a filter, with its quantities at each location."""
    return f"""{{ {_filtered("inventoryItems", filter)} {{ edges {{ node {{ {_ITEM_FIELDS}
      inventoryLevels {{ edges {{ node {{ {_level_fields(grants)} }} }} }} }} }} }} }}"""


def inventory_by_id(grants: Grants) -> str:
    """Inventory items by their ids, with the first levels of each."""
    return f"""query InventoryById($ids: [ID!]!, $levels: Int!) {{
  nodes(ids: $ids) {{ ... on InventoryItem {{ {_ITEM_FIELDS}
    inventoryLevels(first: $levels) {{ nodes {{ {_level_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


def item_levels(grants: Grants) -> str:
    """The next levels of one inventory item."""
    return f"""query ItemLevels($id: ID!, $first: Int!, $after: String) {{
  node(id: $id) {{ ... on InventoryItem {{ id inventoryLevels(first: $first, after: $after) {{
    nodes {{ {_level_fields(grants)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}
}}"""


DELETE_EVENTS = """query DeleteEvents($first: Int!, $after: String, $query: String) {
  events(first: $first, after: $after, query: $query, sortKey: CREATED_AT) {
    nodes { id action createdAt ... on BasicEvent { subjectId subjectType } }
    pageInfo { hasNextPage endCursor }
  }
}"""

SUBSCRIPTIONS = """query Subscriptions($first: Int!, $after: String) {
  webhookSubscriptions(first: $first, after: $after) {
    nodes { id topic uri format includeFields filter } pageInfo { hasNextPage endCursor } }
}"""

SUBSCRIBE = """mutation Subscribe($topic: WebhookSubscriptionTopic!, $webhookSubscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhookSubscription) {
    webhookSubscription { id } userErrors { field message } }
}"""

UNSUBSCRIBE = """mutation Unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}"""

ORDER_CONNECTIONS = (
    Connection("lineItems", marked_by="originalTotalSet"),
    Connection("agreements", marked_by="happenedAt", nested=(Connection("sales", marked_by="actionType"),)),
)
PRODUCT_CONNECTIONS = (Connection("variants", marked_by="sku"),)
CUSTOMER_CONNECTIONS: tuple[Connection, ...] = ()
CHECKOUT_CONNECTIONS = (Connection("lineItems", marked_by="originalUnitPriceSet"),)
INVENTORY_CONNECTIONS = (Connection("inventoryLevels", marked_by="quantities"),)

BULK_RUN = """mutation RunBulk($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id status createdAt } userErrors { code field message } }
}"""

BULK_STATUS = """query Bulk($id: ID!) {
  bulkOperation(id: $id) {
    id status errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl }
}"""


def updated_since(moment: datetime) -> str:
    """Search filter for rows changed at or after a moment (aware).

    Quoted and zoned: an unquoted `Z` is dropped by Shopify and the shop's zone is used instead.
    """
    return f"updated_at:>='{_written(moment)}'"


def created_since(moment: datetime) -> str:
    """Search filter for rows created at or after a moment (aware)."""
    return f"created_at:>='{_written(moment)}'"


def destroyed_since(subject_type: str, moment: datetime) -> str:
    """Search filter for the events of objects destroyed at or after a moment (aware); kept by Shopify for a year."""
    return f"action:destroy subject_type:{subject_type} {created_since(moment)}"


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


STATIC_QUERIES: tuple[str, ...] = (
    SHOP, ORDERS_COUNT, CUSTOMERS_COUNT, PRODUCTS_COUNT, CHECKOUTS_COUNT, REFUND_LINES, DELETE_EVENTS,
    BULK_RUN, BULK_STATUS, SUBSCRIPTIONS, SUBSCRIBE, UNSUBSCRIBE,
)  # fmt: skip
PAGE_QUERIES: tuple[Callable[[Grants], str], ...] = (
    orders_page, order_lines, order_agreements, agreement_sales, products_page, product_variants, customers_page,
    checkouts_page, checkout_lines, item_levels, orders_by_id, products_by_id, customers_by_id, checkouts_by_id,
    inventory_by_id,
)  # fmt: skip
BULK_QUERIES: tuple[Callable[[Grants], str], ...] = (
    orders_bulk, products_bulk, customers_bulk, checkouts_bulk, inventory_bulk,
)  # fmt: skip
# Only ids, and when each object changed: to find what is gone and what we lack.
ID_QUERIES: dict[str, str] = {
    root: f"{{ {root} {{ edges {{ node {{ id updatedAt }} }} }} }}" for root in ("orders", "customers", "products")
}
