-- Format 10: campaigns that begin with a few people, go by people's own hours, and come in variants.
--
-- Rows written before keep their checksums: what is new counts only where it is set.

ALTER TABLE campaigns ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;  -- which of its stages is to be sent, from 0
ALTER TABLE campaign_recipients ADD COLUMN timezone TEXT;           -- where the list says so and the campaign asks
ALTER TABLE deliveries ADD COLUMN variant TEXT;                     -- the one last on its way, where there are several

-- What waits for its time: as many as there are people, when all of them sleep.
CREATE INDEX deliveries_due ON deliveries (campaign, at, seq, part) WHERE state = 'retry_at';

PRAGMA user_version = 10;
