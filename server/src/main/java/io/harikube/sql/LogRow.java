package io.harikube.sql;

import io.harikube.store.KeyValue;

/**
 * A row of the log: a change of a key.
 *
 * @param prev the id of the change before this one in the life of the key, 0 if it begins one
 * @param created the revision that began this life of the key; a deletion has it, too
 */
record LogRow(long id, long prev, long created, KeyValue kv) {}
