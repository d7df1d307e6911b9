-- When the head of a lane last failed: a later outage counts against the event only if its endpoint took something else since.
ALTER TABLE docket.delivery_lanes ADD COLUMN failed_at timestamptz;
