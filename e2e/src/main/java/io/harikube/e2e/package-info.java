/** A cluster with a real node, and what a user has beside it: kubectl, vcluster, a shell. */
@NullMarked
package io.harikube.e2e;

import org.jspecify.annotations.NullMarked;
