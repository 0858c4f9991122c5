"""Shoptally's engine room: Shopify in, tables in the middle, numbers out.

config.py       Settings from environment and .env: the only reader of os.environ
errors.py       every exception, the tree drawn on top
log.py          logs with shop and run; tokens and e-mails masked
mail.py         e-mail through the mail server of the settings
__main__.py     python -m core: the command line
arguments.py    what its commands take
figures.py      its commands that print figures
doctor.py       its command that examines the installation
backup.py       its commands that copy the database into a file, and back
dev_store.py    its commands that fill a development store and empty it
db/             tables, sessions and the tenant guard, upserts, the ledger's rules, rollups, migrations
shopify/        the only room that imports the SDK; knows no tables
demo/           a small Shopify: answers the client's HTTP requests
sync/           Shopify -> tables
analytics/      tables -> numbers, pandas
reports/        numbers -> files: Excel, images, PDF
auth/           users, memberships and roles
web/            HTTP beside the dashboard
ui/             the only room in core that imports streamlit

Who may import whom: config, errors, log, mail are open to all; db and shopify import nothing else;
analytics and auth: db; demo: shopify; sync: db, shopify, demo; reports: db, analytics, auth;
web: db, shopify, analytics, auth, sync, reports; ui: db, analytics, auth, sync, reports.
tests/test_architecture.py enforces it.
"""
