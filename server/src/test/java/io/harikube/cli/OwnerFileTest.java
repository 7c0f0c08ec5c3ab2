package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.ops.StubStore;
import io.harikube.sql.Admission;
import io.harikube.sql.Endpoint;
import io.harikube.sql.EndpointParser;
import io.harikube.sql.OpenException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OwnerFileTest {
  private static final Endpoint HERE = new Endpoint.Sqlite(Path.of("/data/state.db"));
  private static final Endpoint THERE = postgres("postgres://u:geheim@db/kubernetes");

  private final StubStore store = new StubStore();
  private final long id = store.identity().clusterId();
  private Path file = Path.of("");

  @TempDir Path folder;

  @BeforeEach
  void name() {
    file = folder.resolve("owner");
  }

  private static Endpoint postgres(String text) {
    try {
      return EndpointParser.parse(text, EndpointParser.Extras.NONE);
    } catch (OpenException e) {
      throw new AssertionError(e);
    }
  }

  /** What the file says after a server has run until {@code revision}. */
  private String used(Endpoint endpoint, long revision) throws Exception {
    try (OwnerFile owner = OwnerFile.read(file, endpoint, false)) {
      owner.opened(store);
      store.revision = revision;
    }
    return Files.readString(file);
  }

  private static long admit(OwnerFile owner, long clusterId, long revision) throws OpenException {
    return owner.admission().admit(new Admission.Found(clusterId, revision));
  }

  @Test
  void itSaysWhatWasUsedLast() throws Exception {
    assertThat(used(THERE, 17))
        .isEqualTo(
            """
            # harikube --owner-file, version 1: the store used last
            cluster-id %s
            revision 17
            endpoint postgresql://db:5432/kubernetes
            """
                .formatted(Long.toHexString(id)));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-------");
    try (Stream<Path> beside = Files.list(folder)) {
      assertThat(beside).containsExactly(file);
    }
    assertThat(used(HERE, 18)).endsWith("revision 18\nendpoint sqlite:///data/state.db\n");
  }

  @Test
  void aPathIsOneLine() throws Exception {
    Endpoint odd = new Endpoint.Sqlite(Path.of("/data/./a\n%b?#/../c %.db"));
    assertThat(LastStore.text(odd)).isEqualTo("sqlite:///data/c %25.db");
    Endpoint line = new Endpoint.Sqlite(Path.of("/data/a\nrevision 99"));
    assertThat(used(line, 7)).endsWith("revision 7\nendpoint sqlite:///data/a%0Arevision 99\n");
    assertThat(OwnerFile.read(file, line, false).admission().admit(new Admission.Found(id, 3)))
        .isEqualTo(7);
  }

  @Test
  void theFirstTimeEverythingIsRight() throws Exception {
    OwnerFile owner = OwnerFile.read(file, HERE, false);
    assertThat(owner.admission().admit(null)).isZero();
    assertThat(admit(owner, 5, 9)).isZero();
    owner.close();
    assertThat(file).as("no store was opened").doesNotExist();
  }

  @Test
  void theSameStoreIsLetIn() throws Exception {
    used(HERE, 17);
    OwnerFile same = OwnerFile.read(file, HERE, false);
    assertThat(admit(same, id, 17)).isEqualTo(17);
    assertThat(admit(same, id, 3)).as("an earlier state where it was").isEqualTo(17);
    OwnerFile moved = OwnerFile.read(file, THERE, false);
    assertThat(admit(moved, id, 17)).isEqualTo(17);
    assertThat(admit(moved, id, 1_000_000_017)).isEqualTo(17);
  }

  @Test
  void anotherIsRefusedByASentence() throws Exception {
    used(THERE, 17);
    String last =
        "by %s the store used last is at postgresql://db:5432/kubernetes (cluster id %s, revision 17):"
            .formatted(file, Long.toHexString(id));
    OwnerFile owner = OwnerFile.read(file, HERE, false);
    assertThatThrownBy(() -> owner.admission().admit(null))
        .hasMessage(
            "there is no store at sqlite:///data/state.db, but "
                + last
                + " name that one, restore a snapshot of it, or give --accept-store once to begin"
                + " with an empty one");
    assertThatThrownBy(() -> admit(owner, 0xabcL, 99))
        .hasMessage(
            "the store at sqlite:///data/state.db has the cluster id abc, but "
                + last
                + " name that one, or give --accept-store once to go on with the other");
    assertThatThrownBy(() -> admit(owner, id, 16))
        .hasMessage(
            "the store at sqlite:///data/state.db is at revision 16, an earlier state: "
                + last
                + " name that one, or give --accept-store once to go on without what came after");
    assertThatThrownBy(() -> OwnerFile.read(file, THERE, false).admission().admit(null))
        .hasMessageStartingWith("there is no store at postgresql://db:5432/kubernetes, but ");
    assertThat(Files.readString(file)).contains("revision 17\nendpoint postgresql:");
  }

  @Test
  void anyIsAcceptedOnce() throws Exception {
    used(THERE, 17);
    OwnerFile owner = OwnerFile.read(file, HERE, true);
    assertThat(owner.admission().admit(null)).isZero();
    assertThat(admit(owner, 0xabcL, 1)).isZero();
    assertThat(admit(owner, id, 16)).as("its clients know later revisions").isEqualTo(17);
    owner.opened(store);
    owner.close();
    assertThat(OwnerFile.read(file, HERE, false).admission().admit(new Admission.Found(id, 17)))
        .isEqualTo(17);
  }

  private static final String DAMAGED =
      "is damaged, or of a newer server: give --accept-store once if the store at the endpoint is the"
          + " right one.";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "cluster-id 0\nrevision 17\nendpoint sqlite:///x\n",
        "cluster-id 5\nrevision 0\nendpoint sqlite:///x\n",
        "cluster-id 5\nrevision 99999999999999\nendpoint sqlite:///x\n",
        "cluster-id -5\nrevision 17\nendpoint sqlite:///x\n",
        "cluster-id 12345678901234567\nrevision 17\nendpoint sqlite:///x\n",
        "cluster-id 5\nrevision 17\nendpoint sqlite:///x",
        "cluster-id 5\nrevision 17\nendpoint sqlite:///x\nmore\n"
      })
  void aDamagedFileIsRefusedAndMayBeWrittenAnew(String rest) throws Exception {
    Files.writeString(file, "# harikube --owner-file, version 1: the store used last\n" + rest);
    assertThatThrownBy(() -> OwnerFile.read(file, HERE, false))
        .hasMessage("The file " + file + " of --owner-file " + DAMAGED);
    try (OwnerFile owner = OwnerFile.read(file, HERE, true)) {
      assertThat(owner.admission().admit(null)).isZero();
      owner.opened(store);
    }
    assertThat(admit(OwnerFile.read(file, HERE, false), id, 17)).isEqualTo(store.revision);
  }

  @Test
  void aFileOfANewerServerIsRefused() throws Exception {
    Files.writeString(file, "# harikube --owner-file, version 2\n");
    assertThatThrownBy(() -> OwnerFile.read(file, HERE, false)).hasMessageEndingWith(DAMAGED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "SQLite format 3\0", "-----BEGIN PRIVATE KEY-----\n"})
  void whatSomebodyElseHasWrittenIsKept(String content) throws Exception {
    Files.writeString(file, content);
    for (boolean accept : new boolean[] {false, true}) {
      assertThatThrownBy(() -> OwnerFile.read(file, HERE, accept))
          .hasMessage(
              "The file "
                  + file
                  + " of --owner-file is something else than what a server writes there: name"
                  + " another, or delete it.");
    }
    assertThat(file).hasContent(content);
  }

  /** As when it is the file of the database. */
  @Test
  void whatIsThereAfterTheStoreWasOpenedIsKept() throws Exception {
    OwnerFile owner = OwnerFile.read(file, HERE, false);
    Files.writeString(file, "SQLite format 3\0");
    assertThatThrownBy(() -> owner.opened(store)).hasMessageContaining("something else");
    owner.close();
    assertThat(file).hasContent("SQLite format 3\0");
  }

  @Test
  void aPlaceWhereNoFileCanBeIsRefused() throws IOException {
    assertThatThrownBy(() -> OwnerFile.read(folder, HERE, false))
        .hasMessageContaining("something else");
    Path plain = Files.createFile(folder.resolve("plain"));
    assertThatThrownBy(() -> OwnerFile.read(plain.resolve("sub/owner"), HERE, false))
        .hasMessage(
            "The folder "
                + plain
                + " for the file "
                + plain
                + "/sub/owner of --owner-file cannot be written.");
  }

  @Test
  void foldersAreMadeAndLinksAreFollowed() throws Exception {
    Path deep = folder.resolve("a/b/owner");
    file = deep;
    used(HERE, 17);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(deep.getParent())))
        .isEqualTo("rwx------");
    file = Files.createSymbolicLink(folder.resolve("link"), deep);
    used(HERE, 18);
    assertThat(file).isSymbolicLink();
    assertThat(Files.readString(deep)).contains("revision 18");
  }

  @Test
  void whatCannotBeWrittenMattersOnlyIfItSaysSomethingNew() throws Exception {
    Path obstacle = folder.resolve("owner.new");
    Files.createDirectories(obstacle.resolve("full"));
    OwnerFile first = OwnerFile.read(file, HERE, false);
    assertThatThrownBy(() -> first.opened(store))
        .hasMessage("The file " + file + " of --owner-file cannot be written: directory not empty.")
        .isInstanceOf(StartException.class);
    Files.delete(obstacle.resolve("full"));
    String before = used(HERE, 17);
    Files.createDirectories(obstacle.resolve("full"));
    assertThat(used(HERE, 18)).isEqualTo(before);
    OwnerFile moved = OwnerFile.read(file, THERE, false);
    assertThatThrownBy(() -> moved.opened(store)).isInstanceOf(StartException.class);
    assertThat(Files.readString(file)).isEqualTo(before);
  }
}
