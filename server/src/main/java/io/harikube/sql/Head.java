package io.harikube.sql;

import io.harikube.store.KeyValue;

/** A key as it is now, with the id of the row of the log that made it so. */
record Head(long id, KeyValue kv) {}
