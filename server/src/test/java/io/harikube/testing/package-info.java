/**
 * What the tests stand on: real databases, a store of each kind on an empty one, a clock that only
 * tests move, and a model of the storage contract in plain collections.
 */
@NullMarked
package io.harikube.testing;

import org.jspecify.annotations.NullMarked;
