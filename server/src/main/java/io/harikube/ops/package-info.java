/**
 * What operators see: metrics, health checks, the version, and the automatic compaction. It reads
 * the store through its contract and is read over HTTP; no request of a client goes through here.
 */
@NullMarked
package io.harikube.ops;

import org.jspecify.annotations.NullMarked;
