/**
 * What keeps the log readable while something goes wrong a thousand times a second. It depends on
 * no other package, so that all can use it.
 */
@NullMarked
package io.harikube.log;

import org.jspecify.annotations.NullMarked;
