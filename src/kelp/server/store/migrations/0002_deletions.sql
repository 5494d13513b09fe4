-- Requests to delete records. A request is added as received; a later row of it with a higher rank
-- replaces the first: cancelled, then processed. Read it with FINAL.
CREATE TABLE IF NOT EXISTS {{local:deletions}} {{on_cluster}}
(
    tenant          LowCardinality(String),
    id              String,
    query           String,
    scope           String, -- condition over `streams`: what the asker might see when asking
    start_timestamp DateTime64(9, 'UTC'),
    end_timestamp   DateTime64(9, 'UTC'),
    created         DateTime64(9, 'UTC'),
    rank            UInt8 -- 0 received, 1 cancelled, 2 processed
)
ENGINE = {{engine:ReplacingMergeTree(rank)}}
ORDER BY (tenant, id)
SETTINGS {{deduplication}}, {{durability}};

{{distributed:deletions:sipHash64(id)}};
