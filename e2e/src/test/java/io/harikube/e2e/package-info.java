/** The end-to-end tests. */
@NullMarked
package io.harikube.e2e;

import org.jspecify.annotations.NullMarked;
