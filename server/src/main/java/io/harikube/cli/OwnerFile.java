package io.harikube.cli;

import io.harikube.sql.Admission;
import io.harikube.sql.Endpoint;
import io.harikube.sql.OpenException;
import io.harikube.store.Store;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps a server from going on with another store than the one that it used last, as after an
 * upgrade or a slip in {@code --endpoint}: what it cannot tell from a lost store would be an empty
 * cluster.
 *
 * <p>A store is known by its cluster id, which a restored one has from its snapshot, so that a
 * store may move to another database. An earlier state of it is taken where it was: a backup that
 * was put back, or a standby that was promoted too early. Elsewhere it is refused: it is what a
 * move has left behind.
 *
 * <p>The file is looked at before the store is opened, written when the store is known, and again
 * when the server ends, with the revision of then. For one thread at a time.
 */
final class OwnerFile implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(OwnerFile.class);

  private final LastStore.Place place;
  private final @Nullable LastStore last;
  private final String endpoint;
  private final boolean accept;
  private @Nullable Store store;

  private OwnerFile(
      LastStore.Place place, @Nullable LastStore last, String endpoint, boolean accept) {
    this.place = place;
    this.last = last;
    this.endpoint = endpoint;
    this.accept = accept;
  }

  /**
   * Reads the file, if there is one.
   *
   * @param endpoint where the server is to find its store
   * @param accept whether any store is as good as the last one
   * @throws StartException if the file is there and says nothing, or could not be written
   */
  static OwnerFile read(Path file, Endpoint endpoint, boolean accept) throws StartException {
    LastStore.Place place = LastStore.Place.of(file);
    return new OwnerFile(place, place.read(accept), LastStore.text(endpoint), accept);
  }

  /** Lets the last store in. */
  Admission admission() {
    return this::admit;
  }

  private long admit(Admission.@Nullable Found found) throws OpenException {
    if (last == null) {
      return 0;
    }
    String used =
        "by %s the store used last is at %s (cluster id %s, revision %d): name that one, "
            .formatted(
                place.named(),
                last.endpoint(),
                Long.toHexString(last.clusterId()),
                last.revision());
    if (found != null && found.clusterId() == last.clusterId()) {
      if (accept || last.endpoint().equals(endpoint) || found.revision() >= last.revision()) {
        return last.revision();
      }
      throw new OpenException(
          "the store at "
              + endpoint
              + " is at revision "
              + found.revision()
              + ", an earlier state: "
              + used
              + "or give --accept-store once to go on without what came after");
    }
    if (accept) {
      return 0;
    }
    throw new OpenException(
        found == null
            ? "there is no store at "
                + endpoint
                + ", but "
                + used
                + "restore a snapshot of it, or give --accept-store once to begin with an empty one"
            : "the store at "
                + endpoint
                + " has the cluster id "
                + Long.toHexString(found.clusterId())
                + ", but "
                + used
                + "or give --accept-store once to go on with the other");
  }

  /**
   * Remembers the store. If that cannot be written, which may be for lack of room, the server
   * starts all the same where the file says the same already.
   */
  void opened(Store opened) throws StartException {
    store = opened;
    LastStore now = now(opened);
    boolean same =
        last != null && last.clusterId() == now.clusterId() && last.endpoint().equals(endpoint);
    try {
      place.write(now);
    } catch (IOException e) {
      if (!same) {
        throw new StartException(place.cannotWrite(e), e);
      }
      LOG.warn("{}", place.cannotWrite(e));
    }
    if (last != null && !same) {
      LOG.info(
          "This server goes on with the store {} at {}; it has used {} at {} before.",
          Long.toHexString(now.clusterId()),
          endpoint,
          Long.toHexString(last.clusterId()),
          last.endpoint());
    }
    if (accept) {
      LOG.warn(
          "With --accept-store this server takes whatever store it finds: take it away again.");
    }
  }

  private LastStore now(Store opened) {
    return new LastStore(opened.identity().clusterId(), opened.revision(), endpoint);
  }

  /** Remembers how far the store has got. */
  @Override
  public void close() {
    if (store != null) {
      try {
        place.write(now(store));
      } catch (IOException e) {
        LOG.warn("{}", place.cannotWrite(e));
      } catch (StartException e) {
        LOG.warn("{}", e.getMessage());
      }
    }
  }
}
