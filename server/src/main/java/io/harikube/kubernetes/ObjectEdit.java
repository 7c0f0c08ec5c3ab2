package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Changes to the metadata of a stored object, as garbage collection makes them: asked for one after
 * the other, made at once by {@link #bytes}. What is not asked for stays byte for byte, also what
 * is not known here; {@code managedFields} are left alone. The result reads as the changes say
 * ({@link ObjectReader}), and otherwise as before.
 *
 * <p>Of objects in JSON, members that are new come before the first whose name is greater, which is
 * where Kubernetes writes them for custom resources. In protobuf fields come by their numbers.
 *
 * <p>Not for use by several threads.
 */
public final class ObjectEdit {
  private static final Instant YEAR_10000 = Instant.parse("+10000-01-01T00:00:00Z");

  private final Bytes value;

  Set<String> goneOwners = Set.of();
  Unblock unblock = Unblock.NONE;
  Set<String> goneLabels = Set.of();
  @Nullable List<String> finalizers;
  @Nullable Deletion deletion;

  private ObjectEdit(Bytes value) {
    this.value = value;
  }

  /** Which owner references cease to block the deletion of their owner. */
  enum Unblock {
    NONE,
    BLOCKING,
    ALL
  }

  record Deletion(Instant at, long gracePeriodSeconds) {}

  /** Edits a stored value, which may be any bytes. */
  public static ObjectEdit of(Bytes value) {
    return new ObjectEdit(value);
  }

  /** Takes the owner references away whose uid is one of these; the list with the last one. */
  public ObjectEdit withoutOwners(Set<String> uids) {
    goneOwners = Set.copyOf(uids);
    return this;
  }

  /**
   * Sets {@code blockOwnerDeletion} to false where it is true, as Kubernetes' collector does it for
   * built-in kinds.
   */
  public ObjectEdit unblockOwners() {
    unblock = Unblock.BLOCKING;
    return this;
  }

  /**
   * Sets {@code blockOwnerDeletion} to false on all owner references, also where it is not set, as
   * Kubernetes' collector does it for custom resources.
   */
  public ObjectEdit unblockAllOwners() {
    unblock = Unblock.ALL;
    return this;
  }

  /**
   * Takes labels away, the map with the last one. A few kinds that have no labels read as if they
   * had those of their pod template, Jobs for one, and namespaces always have their name.
   */
  public ObjectEdit withoutLabels(Set<String> names) {
    goneLabels = Set.copyOf(names);
    return this;
  }

  /**
   * Sets the finalizers, in this order; none if empty.
   *
   * @throws IllegalArgumentException if one is no Unicode text: half of a surrogate pair
   */
  public ObjectEdit finalizers(List<String> names) {
    for (String name : names) {
      if (!StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
        throw new IllegalArgumentException("a finalizer that is no Unicode text");
      }
    }
    finalizers = List.copyOf(names);
    return this;
  }

  /**
   * Says that deletion has been asked for, as the API server does it (markAsDeleting in the generic
   * registry): sets the grace period; sets the deletion timestamp unless there is one that is not
   * later; adds one to a generation above 0 if there was no deletion timestamp.
   *
   * @param at when, stored in whole seconds; from 1970 to 9999
   * @param gracePeriodSeconds not negative
   * @throws IllegalArgumentException if one is out of these bounds
   */
  public ObjectEdit markDeleting(Instant at, long gracePeriodSeconds) {
    if (at.isBefore(Instant.EPOCH) || !at.isBefore(YEAR_10000) || gracePeriodSeconds < 0) {
      throw new IllegalArgumentException("a deletion out of bounds");
    }
    deletion = new Deletion(at, gracePeriodSeconds);
    return this;
  }

  /**
   * The value with all changes; the same value if there is nothing to change. Takes memory in
   * proportion to the value.
   *
   * @throws NotEditableException if the value is {@link Opaque}; if it has no metadata, or metadata
   *     twice; if a field that the changes depend on is there twice or is not what Kubernetes
   *     writes; or, in JSON, if any name is there twice in the object, its metadata, or what else
   *     the changes look into
   */
  public Bytes bytes() throws NotEditableException {
    byte[] bytes = readable(value).array();
    Splices splices = new Splices(bytes);
    try {
      if (ProtobufObject.is(bytes)) {
        new ProtobufEdit(bytes, this, splices).run();
      } else {
        new JsonEdit(bytes, this, splices).run();
      }
      return splices.isEmpty() ? value : readable(Bytes.of(splices.apply()));
    } catch (Unreadable e) {
      throw new NotEditableException(e.opaque().reason());
    } catch (IOException | RuntimeException e) {
      throw new NotEditableException("not readable");
    }
  }

  private static Bytes readable(Bytes value) throws NotEditableException {
    if (ObjectReader.read(value, null) instanceof Opaque opaque) {
      throw new NotEditableException(opaque.reason());
    }
    return value;
  }
}
