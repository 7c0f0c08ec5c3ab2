package io.harikube.sql;

import io.harikube.store.KeyValue;

/** A row of the log: a key and value with the id of its change. */
record LogRow(long id, KeyValue kv) {}
