package io.harikube.e2e;

import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A bad day of a virtual cluster, beside clients that write and watch. */
@Tag("node")
@ExtendWith(Hosts.class)
class FaultsTest {
  private static final Logger log = LoggerFactory.getLogger(FaultsTest.class);
  private static final Duration TO_COME_BACK = Duration.ofMinutes(5);
  private static final int BEFORE = 300;
  private static final int AFTER = 300;

  private final LocalNode host;
  private final User user;

  FaultsTest(LocalNode host) {
    this.host = host;
    user = new User(host, Hosts.FOLDER.resolve("faults"));
  }

  private enum Fault {
    STORE_KILLED,
    API_SERVER_KILLED,
    POD_DELETED,
    POSTGRES_KILLED,
    HOSTS_STORE_KILLED,
    HOSTS_API_SERVER_KILLED,
    NETWORK_CUT,
    NODE_RESTARTED
  }

  @BeforeEach
  void nothingElseRuns() {
    user.disconnects();
  }

  @AfterEach
  void close() {
    user.close();
  }

  @ParameterizedTest
  @CsvSource({
    "sqlite, 'STORE_KILLED API_SERVER_KILLED POD_DELETED NETWORK_CUT HOSTS_STORE_KILLED HOSTS_API_SERVER_KILLED NODE_RESTARTED'",
    "postgres, 'STORE_KILLED API_SERVER_KILLED POSTGRES_KILLED POD_DELETED NODE_RESTARTED'"
  })
  void nothingIsLostAndNothingMissed(String database, String faults) {
    try (VirtualCluster cluster = new VirtualCluster(user, database, "-api")) {
      for (String each : faults.split(" ", -1)) {
        Fault fault = Fault.valueOf(each);
        try (Load load = new Load(cluster.client())) {
          load.goesOn(BEFORE, TO_COME_BACK);
          long began = System.nanoTime();
          happens(fault);
          load.goesOn(AFTER, TO_COME_BACK);
          load.check();
          log.info(
              "{} on {}: {}; over after {} s",
              fault,
              database,
              load,
              (System.nanoTime() - began) / 1_000_000_000);
        }
      }
    }
  }

  private void happens(Fault fault) {
    switch (fault) {
      case STORE_KILLED -> host.run("kill", "-9", host.processOf("harikube"));
      case API_SERVER_KILLED -> host.run("pkill", "-9", "--full", "^/binaries/kube-apiserver");
      case POD_DELETED ->
          user.types("kubectl -n harikube delete pod harikube-0 --grace-period=0 --force");
      case POSTGRES_KILLED -> host.run("kill", "-9", host.processOf("postgres"));
      case HOSTS_STORE_KILLED -> host.crash(LocalNode.Part.STORE);
      case HOSTS_API_SERVER_KILLED -> host.crash(LocalNode.Part.KUBE_APISERVER);
      case NETWORK_CUT -> cutFor(Duration.ofSeconds(60));
      case NODE_RESTARTED -> host.restart();
    }
  }

  /** Between the API server and the store, which are in one pod. */
  private void cutFor(Duration duration) {
    String[] cut = {
      "nsenter",
      "--target",
      host.processOf("harikube"),
      "--net",
      "iptables",
      "-I",
      "INPUT",
      "-p",
      "tcp",
      "--dport",
      "2379",
      "-j",
      "DROP"
    };
    host.run(cut);
    long end = System.nanoTime() + duration.toNanos();
    Await.until(
        "the network has been cut for long enough",
        duration.plusSeconds(5),
        () -> System.nanoTime() > end);
    cut[5] = "-D";
    host.run(cut);
  }
}
