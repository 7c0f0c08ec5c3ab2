/**
 * The command line: options and where else they come from, how the parts of the server are put
 * together, started and stopped, and what an operator is told when that fails.
 */
@NullMarked
package io.harikube.cli;

import org.jspecify.annotations.NullMarked;
