-- Format 3: receipts that lie in the order they were written in. Their tickets begin with the time, in milliseconds by the
-- callers' clocks, and end in chance: an insertion touches the page the last one did, which is in the log already, and
-- those to be let go of are found by their tickets. `at`, by this server's clock, still says which these are. Processes of
-- before go on with `receipts`.
CREATE TABLE receipts_in_order (
    ticket    uuid PRIMARY KEY,
    committed boolean NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);

-- A campaign's rows are written under a lock on the campaign, or on a worker of it; and none is ever deleted. To look it up
-- again for each row took as long as to write the row, and had all writers share a lock on one row.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_campaign_fkey;
ALTER TABLE campaign_recipients DROP CONSTRAINT campaign_recipients_campaign_fkey;
