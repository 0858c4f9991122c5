"""What is fetched from Shopify, one file a resource; RESOURCES is the menu, in the order they are synced."""

from core.sync.resources.checkouts import CHECKOUTS
from core.sync.resources.customers import CUSTOMERS
from core.sync.resources.inventory import INVENTORY
from core.sync.resources.orders import ORDERS
from core.sync.resources.products import PRODUCTS
from core.sync.resources.resource import Resource

RESOURCES: tuple[Resource, ...] = (PRODUCTS, CUSTOMERS, ORDERS, CHECKOUTS, INVENTORY)
