package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Ops;
import io.harikube.testing.TcpProxy;
import io.harikube.testing.TestClock;
import io.harikube.testing.TestPostgres;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The way to PostgreSQL: what is between, what answers, and what does not answer any more. */
@Timeout(120)
final class PostgresConnectionsTest {
  private final TestPostgres server = TestPostgres.shared();
  private final TestPostgres.Database database = server.newDatabase();
  private final TcpProxy proxy = new TcpProxy(server.port());
  private final MemoryBudget budget = new MemoryBudget(64 << 20);

  @AfterEach
  void close() {
    proxy.close();
    server.drop(database);
  }

  private static Endpoint.Postgres endpoint(String hosts, String name, String... properties) {
    Properties all = new Properties();
    all.setProperty("user", "postgres");
    // The name of the database is in the first bytes then.
    all.setProperty("sslmode", "disable");
    all.setProperty("gssEncMode", "disable");
    for (int i = 0; i < properties.length; i += 2) {
      all.setProperty(properties[i], properties[i + 1]);
    }
    return new Endpoint.Postgres("jdbc:postgresql://" + hosts + "/" + name, name, all);
  }

  private String name() {
    return database.endpoint().database();
  }

  private static String at(int port) {
    return "127.0.0.1:" + port;
  }

  private static Store open(Endpoint endpoint) throws OpenException {
    return SqlStore.open(SqlOptions.of(endpoint), new TestClock());
  }

  private Store openByProxy() throws OpenException {
    return open(endpoint(at(proxy.port()), name()));
  }

  private long put(Store store, String key, String value) {
    try (MemoryBudget.Share share = budget.open()) {
      return Await.answer(store.txn(Ops.all(Ops.put(key, value)), share)).revision();
    }
  }

  private OpResult.Range get(Store store, String key) {
    try (MemoryBudget.Share share = budget.open()) {
      return store.range(RangeQuery.of(Ops.key(key)), share);
    }
  }

  private List<String> list(Store store) {
    try (MemoryBudget.Share share = budget.open()) {
      return Ops.keys(store.range(RangeQuery.of(Ops.ALL), share).kvs());
    }
  }

  private void admin(String sql) throws SQLException {
    admin("postgres", sql);
  }

  private void admin(String name, String sql) throws SQLException {
    try (Connection connection = server.connect(name);
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  /** The connections stay open and carry nothing; new ones work. */
  @Test
  void frozenConnectionsAreNoticed() throws Exception {
    try (Store store = openByProxy()) {
      put(store, "a", "1");
      assertThat(list(store)).containsExactly("a");
      get(store, "a");
      proxy.freeze();
      long begin = System.nanoTime();
      List<CompletableFuture<?>> answers = new ArrayList<>();
      answers.add(
          CompletableFuture.runAsync(() -> put(store, "b", "2"), Thread::startVirtualThread));
      for (int i = 0; i < 8; i++) {
        answers.add(CompletableFuture.runAsync(() -> get(store, "a"), Thread::startVirtualThread));
        answers.add(CompletableFuture.runAsync(() -> list(store), Thread::startVirtualThread));
      }
      assertThat(store.status().revision()).isGreaterThanOrEqualTo(2);
      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
      answers.forEach(Await::answer);
      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(20));
      assertThat(list(store)).containsExactly("a", "b");
      assertThat(put(store, "c", "3")).isEqualTo(4);
    }
  }

  @Test
  void cutConnectionsAreReplaced() throws Exception {
    try (Store store = openByProxy()) {
      put(store, "a", "1");
      for (int i = 0; i < 10; i++) {
        list(store);
        get(store, "a");
        proxy.cut();
        assertThat(list(store)).containsExactly("a");
        assertThat(get(store, "a").kvs()).hasSize(1);
        assertThat(put(store, "a", "1")).isEqualTo(3 + i);
      }
    }
  }

  /** As a count of everything may. */
  @Test
  void aLongStatementIsNotTakenForADeadConnection() throws Exception {
    try (Dialect dialect =
        SqlStore.dialect(SqlOptions.of(endpoint(at(proxy.port()), name())), StoreMetrics.NONE)) {
      open(database.endpoint()).close();
      long slept =
          dialect
              .readers()
              .snapshot(
                  (session, _) -> {
                    session.prepare("SELECT pg_sleep(14)").execute();
                    return 14L;
                  });
      assertThat(slept).isEqualTo(14);
    }
  }

  /** A transaction that a frozen connection has left open in the database holds nobody up. */
  @Test
  void whatTheWriterLeftOpenIsEnded() throws Exception {
    open(database.endpoint()).close();
    try (Dialect dialect =
        SqlStore.dialect(SqlOptions.of(endpoint(at(proxy.port()), name())), StoreMetrics.NONE)) {
      Session first = dialect.connectWriter();
      dialect.begin(first);
      Epochs.take(first, 1);
      proxy.freeze();
      try (Session second = dialect.connectWriter()) {
        dialect.begin(second);
        Epochs.take(second, 2);
        dialect.commit(second);
      }
      proxy.cut();
    }
  }

  /** A copy of the database that is not followed up plays the standby that lags. */
  private String copy() throws Exception {
    String copy = name().replace("test", "copy");
    admin("CREATE DATABASE " + copy + " TEMPLATE " + name());
    return copy;
  }

  private UnaryOperator<byte[]> leadingTo(String copy) {
    return bytes ->
        new String(bytes, StandardCharsets.ISO_8859_1)
            .replace(name(), copy)
            .getBytes(StandardCharsets.ISO_8859_1);
  }

  @Test
  void noReadIsAnsweredFromADatabaseThatIsBehind() throws Exception {
    try (Store store = openByProxy()) {
      put(store, "a", "old");
    }
    String copy = copy();
    try (Store store = openByProxy()) {
      // From now on a pooler that balances.
      proxy.first(n -> n % 2 == 0 ? leadingTo(copy) : UnaryOperator.identity());
      for (int i = 0; i < 60; i++) {
        long revision = put(store, "a", "new" + i);
        OpResult.Range found = get(store, "a");
        assertThat(found.revision()).isGreaterThanOrEqualTo(revision);
        assertThat(found.kvs().getFirst().value()).hasToString("new" + i);
        try (MemoryBudget.Share share = budget.open()) {
          OpResult.Range all = store.range(RangeQuery.of(Ops.ALL), share);
          assertThat(all.revision()).isGreaterThanOrEqualTo(revision);
        }
      }
      assertThat(proxy.accepted()).as("some led to the copy").isGreaterThan(1);
      proxy.first(_ -> leadingTo(copy));
      try (Dialect dialect =
          SqlStore.dialect(SqlOptions.of(endpoint(at(proxy.port()), name())), StoreMetrics.NONE)) {
        long revision = store.revision();
        Meta old = dialect.readers().single(Meta::read);
        assertThat(old.revision()).isLessThan(revision);
        dialect.floor(() -> new Meta(revision, -1, -1, 0, 0, 0, 0, 0, 0));
        assertThatThrownBy(() -> dialect.readers().single(Meta::read))
            .hasMessageContaining("behind");
        proxy.first(_ -> UnaryOperator.identity());
        assertThat(dialect.readers().single(Meta::read).revision()).isEqualTo(revision);
      }
    } finally {
      admin("DROP DATABASE " + copy + " WITH (FORCE)");
    }
  }

  @Test
  void theFirstHostMayBeAStandby() throws Exception {
    try (TestPostgres standby = TestPostgres.launch()) {
      try (Connection connection = standby.connect("postgres");
          Statement statement = connection.createStatement()) {
        statement.execute("CREATE DATABASE " + name());
      }
      standby.becomeStandby();
      try (Store store = open(endpoint(at(standby.port()) + "," + at(server.port()), name()))) {
        assertThat(put(store, "a", "1")).isEqualTo(2);
        assertThat(list(store)).containsExactly("a");
      }
      assertThatThrownBy(() -> open(endpoint(at(standby.port()), name())).close())
          .isInstanceOf(OpenException.class)
          .hasMessageContaining("standby");
    }
  }

  /** By default only: its own transactions are. pgjdbc would take it for a standby. */
  @Test
  void aDatabaseThatIsReadOnlyForAWhileCanBeRead() throws Exception {
    try (Store store = openByProxy()) {
      put(store, "a", "1");
      admin("ALTER DATABASE " + name() + " SET default_transaction_read_only = on");
      proxy.cut();
      assertThat(list(store)).containsExactly("a");
      admin("ALTER DATABASE " + name() + " RESET default_transaction_read_only");
      proxy.cut();
      assertThat(put(store, "a", "2")).isEqualTo(3);
    }
  }

  /** Whatever a provider has set for the database. */
  @Test
  void theServersDefaultsDoNotDecide() throws Exception {
    for (String setting :
        List.of(
            "jit = on",
            "enable_indexscan = off",
            "enable_nestloop = off",
            "plan_cache_mode = force_generic_plan",
            "default_transaction_isolation = serializable",
            "synchronous_commit = off")) {
      admin("ALTER DATABASE " + name() + " SET " + setting);
    }
    open(database.endpoint()).close();
    try (Dialect dialect =
        SqlStore.dialect(SqlOptions.of(database.endpoint()), StoreMetrics.NONE)) {
      for (Readers readers : List.of(dialect.readers(), dialect.probes())) {
        assertThat(show(readers, "jit")).isEqualTo("off");
        assertThat(show(readers, "enable_indexscan")).isEqualTo("on");
        assertThat(show(readers, "enable_nestloop")).isEqualTo("on");
        assertThat(show(readers, "plan_cache_mode")).isEqualTo("auto");
      }
      assertThat(show(dialect.readers(), "transaction_isolation")).isEqualTo("repeatable read");
      try (Session writer = dialect.connectWriter()) {
        assertThat(show(writer, "jit")).isEqualTo("off");
        assertThat(show(writer, "transaction_isolation")).isEqualTo("read committed");
        assertThat(show(writer, "synchronous_commit")).isEqualTo("on");
      }
    }
    admin("ALTER DATABASE " + name() + " SET synchronous_commit = remote_apply");
    try (Dialect dialect = SqlStore.dialect(SqlOptions.of(database.endpoint()), StoreMetrics.NONE);
        Session writer = dialect.connectWriter()) {
      assertThat(show(writer, "synchronous_commit")).isEqualTo("remote_apply");
    }
  }

  private static String show(Readers readers, String setting) throws SQLException {
    return readers.snapshot((session, _) -> show(session, setting));
  }

  private static String show(Session session, String setting) throws SQLException {
    try (Statement statement = session.connection().createStatement();
        ResultSet rows = statement.executeQuery("SHOW " + setting)) {
      rows.next();
      return rows.getString(1);
    }
  }

  @Test
  void aRotatedPasswordNeedsNoRestart(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("password"), "first\n");
    admin("DROP ROLE IF EXISTS rotating");
    admin("CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'first'");
    String rules;
    try (Connection connection = server.connect("postgres");
        Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery("SELECT current_setting('data_directory') || '/pg_hba.conf'")) {
      rows.next();
      rules = rows.getString(1);
    }
    try {
      admin(
          "COPY (VALUES ('host all rotating 127.0.0.1/32 scram-sha-256'),"
              + " ('host all all 127.0.0.1/32 trust')) TO '"
              + rules
              + "'");
      admin("SELECT pg_reload_conf()");
      Endpoint.Postgres trusted = endpoint(at(proxy.port()), name(), "user", "rotating");
      Endpoint.Postgres endpoint =
          new Endpoint.Postgres(trusted.url(), name(), trusted.properties(), file);
      // The server reads its rules a moment later.
      Await.until("a password is asked for", () -> isRefused(trusted));
      try (Store store = open(endpoint)) {
        put(store, "a", "1");
        admin("ALTER ROLE rotating PASSWORD 'second'");
        Files.writeString(file, "second");
        proxy.cut();
        assertThat(list(store)).containsExactly("a");
        assertThat(put(store, "a", "2")).isEqualTo(3);
      }
    } finally {
      admin("COPY (VALUES ('host all all 127.0.0.1/32 trust')) TO '" + rules + "'");
      admin("SELECT pg_reload_conf()");
    }
  }

  private static boolean isRefused(Endpoint.Postgres endpoint) {
    try (Connection _ = new PostgresConnector(endpoint).open(5)) {
      return false;
    } catch (SQLException e) {
      return true;
    }
  }

  /** Health checks have five seconds. */
  @Test
  void aDatabaseThatIsAwayIsSaidToBeSoon() throws Exception {
    try (TestPostgres own = TestPostgres.launch()) {
      TestPostgres.Database there = own.newDatabase();
      try (Store store = open(there.endpoint())) {
        put(store, "a", "1");
        list(store);
        own.kill9();
        for (int i = 0; i < 3; i++) {
          long begin = System.nanoTime();
          assertThatThrownBy(store::status).isInstanceOf(StoreException.class);
          assertThatThrownBy(() -> list(store)).isInstanceOf(StoreException.class);
          assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(8));
        }
        own.start();
        Await.until("the store works again", () -> works(store));
      }
    }
  }

  private boolean works(Store store) {
    try {
      return put(store, "b", "1") > 2 && list(store).size() == 2;
    } catch (StoreException e) {
      return false;
    }
  }
}
