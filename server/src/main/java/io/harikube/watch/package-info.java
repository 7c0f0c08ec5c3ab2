/**
 * Watches: from the commits of the writer, and from the log, to one ordered queue for each stream.
 */
@NullMarked
package io.harikube.watch;

import org.jspecify.annotations.NullMarked;
