package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Databases that leave nothing behind. */
final class ScratchFileTest {
  @TempDir private Path folder = Path.of("");

  @Test
  void hasNoNameWhileItIsUsed() throws Exception {
    byte[] bytes;
    try (ScratchFile file = ScratchFile.create(folder)) {
      assertThat(folder).isEmptyDirectory();
      file.session().execute("BEGIN IMMEDIATE");
      file.session().execute("CREATE TABLE t (n INTEGER)");
      for (int i = 0; i < 1000; i++) {
        file.session().execute("INSERT INTO t VALUES (randomblob(10000))");
      }
      assertThat(folder).isEmptyDirectory();
      file.session().execute("COMMIT");
      assertThat(folder).isEmptyDirectory();
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      file.copyTo(out);
      bytes = out.toByteArray();
      assertThat(bytes.length).isEqualTo((int) file.size()).isGreaterThan(10_000_000);
    }
    try (ScratchFile copy = ScratchFile.create(folder)) {
      copy.channel().write(ByteBuffer.wrap(bytes));
      assertThat(SqliteDialect.number(copy.session(), "SELECT count(*) FROM t")).isEqualTo(1000);
      copy.session().execute("ALTER TABLE t ADD COLUMN m INTEGER");
      copy.session().execute("CREATE INDEX t_n ON t (n)");
      assertThat(folder).isEmptyDirectory();
    }
  }
}
