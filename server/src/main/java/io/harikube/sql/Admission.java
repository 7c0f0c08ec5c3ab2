package io.harikube.sql;

import org.jspecify.annotations.Nullable;

/**
 * Says whether a store may be opened. It is asked before anything in the database is changed, made
 * or taken from another server, and more than once for one start.
 */
@FunctionalInterface
public interface Admission {

  /** Whatever there is. */
  Admission ANY = found -> 0;

  /**
   * A store.
   *
   * @param clusterId see {@link io.harikube.store.Identity}; a restored store has that of its
   *     snapshot
   * @param revision the revision that it is at
   */
  record Found(long clusterId, long revision) {}

  /**
   * Lets a store in.
   *
   * @param found null if there is none, so that an empty one would be made
   * @return the highest revision of it that is known to have been durable, or 0: a store that has
   *     not got as far lacks commits, and goes on at a later revision
   * @throws OpenException why not
   */
  long admit(@Nullable Found found) throws OpenException;
}
