package io.harikube.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A value that is read from files, and read again when one of them changes. As long as the changed
 * files cannot be used (a rotation has written the one, but not yet the other) the value from
 * before stays. Safe for any thread; asking costs one look at the attributes of each file.
 */
final class Reloaded<T> {
  private static final Logger LOG = LoggerFactory.getLogger(Reloaded.class);

  /** Reads the value. */
  @FunctionalInterface
  interface Reader<T> {
    T read() throws TlsException;
  }

  private record Stamp(FileTime modified, long size, @Nullable Object key) {}

  private record State<T>(T value, List<@Nullable Stamp> stamps, @Nullable String failure) {}

  private final List<Path> files;
  private final Reader<T> reader;
  private volatile State<T> state;

  Reloaded(List<Path> files, Reader<T> reader) throws TlsException {
    this.files = List.copyOf(files);
    this.reader = reader;
    List<@Nullable Stamp> stamps = stamps(this.files);
    this.state = new State<>(reader.read(), stamps, null);
  }

  T get() {
    State<T> known = state;
    List<@Nullable Stamp> now = stamps(files);
    if (now.equals(known.stamps) && known.failure == null) {
      return known.value;
    }
    return reload();
  }

  private synchronized T reload() {
    State<T> known = state;
    List<@Nullable Stamp> now = stamps(files);
    if (now.equals(known.stamps) && known.failure == null) {
      return known.value;
    }
    try {
      T value = reader.read();
      state = new State<>(value, now, null);
      LOG.info("Read {} again: changed.", files);
      return value;
    } catch (TlsException e) {
      String failure = String.valueOf(e.getMessage());
      if (!failure.equals(known.failure)) {
        LOG.warn("The changed TLS files cannot be used, those from before stay: {}", failure);
      }
      state = new State<>(known.value, now, failure);
      return known.value;
    }
  }

  private static List<@Nullable Stamp> stamps(List<Path> files) {
    List<@Nullable Stamp> stamps = new ArrayList<>(files.size());
    for (Path file : files) {
      try {
        BasicFileAttributes is = Files.readAttributes(file, BasicFileAttributes.class);
        stamps.add(new Stamp(is.lastModifiedTime(), is.size(), is.fileKey()));
      } catch (IOException e) {
        stamps.add(null);
      }
    }
    return stamps;
  }
}
