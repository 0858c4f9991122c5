"""The GraphQL texts that fill a development store and empty it again (Admin API 2026-10); tests/contract checks them.

https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/orderCreate
"""

# A store that Shopify's partners develop on says so; a real one is not for invented orders.
PLAN = """query Plan {
  shop { id name myshopifyDomain currencyCode taxesIncluded plan { publicDisplayName partnerDevelopment } }
  currentAppInstallation { id accessScopes { handle } }
}"""

SEEDED_PRODUCTS = """query SeededProducts($first: Int!, $after: String, $query: String, $variants: Int!) {
  products(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes { id tags variants(first: $variants) { nodes { id price } } } pageInfo { hasNextPage endCursor } }
}"""
SEEDED_CUSTOMERS = """query SeededCustomers($first: Int!, $after: String, $query: String) {
  customers(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes { id tags } pageInfo { hasNextPage endCursor } }
}"""
SEEDED_ORDERS = """query SeededOrders($first: Int!, $after: String, $query: String) {
  orders(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes { id tags } pageInfo { hasNextPage endCursor } }
}"""

PRODUCT_SET = """mutation ProductSet($identifier: ProductSetIdentifiers, $input: ProductSetInput!, $variants: Int!) {
  productSet(synchronous: true, identifier: $identifier, input: $input) {
    product { id variants(first: $variants) { nodes { id price } } } userErrors { code field message } }
}"""
CUSTOMER_SET = """mutation CustomerSet($identifier: CustomerSetIdentifiers, $input: CustomerSetInput!) {
  customerSet(identifier: $identifier, input: $input) { customer { id } userErrors { code field message } }
}"""
ORDER_CREATE = """mutation OrderCreate($order: OrderCreateOrderInput!) {
  orderCreate(order: $order, options: { inventoryBehaviour: BYPASS, sendReceipt: false }) {
    order { id } userErrors { code field message } }
}"""

ORDER_DELETE = """mutation OrderDelete($id: ID!) {
  orderDelete(orderId: $id) { deletedId userErrors { code field message } }
}"""
CUSTOMER_DELETE = """mutation CustomerDelete($id: ID!) {
  customerDelete(input: { id: $id }) { deletedCustomerId userErrors { field message } }
}"""
PRODUCT_DELETE = """mutation ProductDelete($id: ID!) {
  productDelete(input: { id: $id }, synchronous: true) { deletedProductId userErrors { field message } }
}"""

WRITE_SCOPES: tuple[str, ...] = ("write_customers", "write_orders", "write_products")
SEEDING_QUERIES: tuple[str, ...] = (
    PLAN, SEEDED_PRODUCTS, SEEDED_CUSTOMERS, SEEDED_ORDERS, PRODUCT_SET, CUSTOMER_SET, ORDER_CREATE, ORDER_DELETE,
    CUSTOMER_DELETE, PRODUCT_DELETE,
)  # fmt: skip
