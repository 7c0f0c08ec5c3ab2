package io.harikube.kubernetes;

/** What a stored value has turned out to be. */
public sealed interface StoredValue permits ObjectInfo, Opaque {}
