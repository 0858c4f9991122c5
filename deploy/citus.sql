-- PostgreSQL to Citus, once, as the owner of the tables, with every app and worker stopped. Never run yet: see README, Scale.
CREATE EXTENSION citus;

-- On every node: small, asked for without a store, or pointed to by such.
SELECT create_reference_table('audit_event');
SELECT create_reference_table('key_canary');
SELECT create_reference_table('login_attempt');
SELECT create_reference_table('privacy_request');
SELECT create_reference_table('shop');
SELECT create_reference_table('"user"');
SELECT create_reference_table('webhook_event');
SELECT create_reference_table('worker_heartbeat');
SELECT create_reference_table('api_key');
SELECT create_reference_table('auth_session');
SELECT create_reference_table('auth_ticket');
SELECT create_reference_table('membership');
SELECT create_reference_table('sync_run');
SELECT create_reference_table('board');
SELECT create_reference_table('saved_view');
SELECT create_reference_table('report_schedule');

-- By store: each key begins with shop_id, and what points to another of these does so within a store.
SELECT create_distributed_table('abandoned_checkout', 'shop_id');
SELECT create_distributed_table('cohort_month', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('customer', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('customer_month', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('customer_totals', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('daily_breakdown', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('daily_product_sales', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('daily_sales', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('days_between', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('demo_order', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('goal', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('hourly_sales', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('inventory_item', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('location', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('monthly_product_sales', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('product', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('quarantined_row', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('sync_state', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('webhook_subscription', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('abandoned_checkout_line', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('inventory_level', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('"order"', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('variant', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('line_item', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('refund', 'shop_id', colocate_with => 'abandoned_checkout');
SELECT create_distributed_table('sale', 'shop_id', colocate_with => 'abandoned_checkout');
