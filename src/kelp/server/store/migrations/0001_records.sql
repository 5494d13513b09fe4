-- Records, ordered so that one stream's lie together. A record whose time is far from when it was
-- read (a clock that is wrong, logs of last year) lies in the day it was read: however wild the
-- times, an insert touches few partitions, and they go when others of that day go.
CREATE TABLE IF NOT EXISTS {{local:records}} {{on_cluster}}
(
    stream_id          UInt64 CODEC(ZSTD(1)),
    timestamp          DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observed_timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    position           UInt64 CODEC(Delta, ZSTD(1)),
    severity_number    UInt8 CODEC(ZSTD(1)),
    severity_text      LowCardinality(String) CODEC(ZSTD(1)),
    trace_id           String CODEC(ZSTD(1)),
    span_id            String CODEC(ZSTD(1)),
    body               String CODEC(ZSTD(1)),
    attributes         Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    -- Identifiers; what it is and how to ask it: kelp.server.store.needle.
    INDEX ids arrayMap(x -> if(length(x) = 32 OR (length(x) = 36 AND substring(x, 9, 1) = '-'), x, '*'), extractAll(body, '[0-9a-f-]{32,}')) TYPE bloom_filter(0.05) GRANULARITY 1,
    INDEX times timestamp TYPE minmax GRANULARITY 1
)
ENGINE = {{engine:MergeTree}}
PARTITION BY if(abs(dateDiff('day', observed_timestamp, timestamp)) <= 7, toDate(timestamp), toDate(observed_timestamp))
ORDER BY (stream_id, timestamp)
SETTINGS {{deduplication}}, {{durability}},
    -- Column by column, whatever the size: a third less work than row by row.
    vertical_merge_algorithm_min_rows_to_activate = 1,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    -- Merge ten parts of a size rather than five: each record is written again less often.
    merge_selector_base = 10;

{{distributed:records:stream_id}};

-- A row says that the stream had records between the two times; rows of one stream add up.
CREATE TABLE IF NOT EXISTS {{local:streams}} {{on_cluster}}
(
    tenant          LowCardinality(String),
    stream_id       UInt64,
    labels          Map(LowCardinality(String), String),
    first_timestamp SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_timestamp  SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = {{engine:AggregatingMergeTree}}
ORDER BY (tenant, stream_id, labels)
SETTINGS {{deduplication}}, {{durability}};

{{distributed:streams:stream_id}};

-- Bytes that no agent could read; the same loss may stand twice until a merge.
CREATE TABLE IF NOT EXISTS {{local:losses}} {{on_cluster}}
(
    tenant          LowCardinality(String),
    labels          Map(LowCardinality(String), String),
    position        UInt64,
    size_bytes      UInt64,
    start_timestamp DateTime64(9, 'UTC'),
    end_timestamp   DateTime64(9, 'UTC'),
    reason          LowCardinality(String),
    agent_id        String,
    seq             UInt64
)
ENGINE = {{engine:ReplacingMergeTree}}
ORDER BY (tenant, end_timestamp, agent_id, seq, position, reason, labels)
SETTINGS {{deduplication}}, {{durability}};

{{distributed:losses:sipHash64(agent_id)}};

-- Where a position leads back to: the newest row of a file counts.
CREATE TABLE IF NOT EXISTS {{local:files}} {{on_cluster}}
(
    tenant      LowCardinality(String),
    agent_id    String,
    device      UInt64,
    inode       UInt64,
    fingerprint String,
    base        UInt64,
    path        String,
    size        UInt64,
    labels      Map(LowCardinality(String), String),
    updated     DateTime64(9, 'UTC')
)
ENGINE = {{engine:ReplacingMergeTree(updated)}}
ORDER BY (tenant, agent_id, device, inode, fingerprint, base)
SETTINGS {{deduplication}}, {{durability}};

{{distributed:files:sipHash64(agent_id)}};
