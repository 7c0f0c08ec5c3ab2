/**
 * A store in a relational database: one implementation over a dialect each for SQLite and
 * PostgreSQL.
 */
@NullMarked
package io.harikube.sql;

import org.jspecify.annotations.NullMarked;
