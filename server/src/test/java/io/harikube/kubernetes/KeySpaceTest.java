package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

class KeySpaceTest {
  private static final KeySpace KEYS = new KeySpace("/registry");

  @Test
  void keysNameObjects() {
    names("/registry/pods/default/web-0", "pods", "default", "web-0", "", "pods");
    names("/registry/minions/n1", "minions", "", "n1", "", "nodes");
    names("/registry/namespaces/a", "namespaces", "", "a", "", "namespaces");
    names("/registry/controllers/a/b", "controllers", "a", "b", "", "replicationcontrollers");
    names("/registry/services/specs/a/b", "services/specs", "a", "b", "", "services");
    names("/registry/services/endpoints/a/b", "services/endpoints", "a", "b", "", "endpoints");
    names("/registry/ingress/a/b", "ingress", "a", "b", "", "ingresses");
    names("/registry/events/a/b.17", "events", "a", "b.17", "", "events");
    names("/registry/leases/kube-system/x", "leases", "kube-system", "x", "", "leases");
    names(
        "/registry/clusterroles/system:node",
        "clusterroles",
        "",
        "system:node",
        "",
        "clusterroles");
    names("/registry/masterleases/10.0.0.1", "masterleases", "", "10.0.0.1", "", "masterleases");
    names("/registry/ranges/serviceips", "ranges", "", "serviceips", "", "ranges");
    names(
        "/registry/apiregistration.k8s.io/apiservices/v1.apps",
        "apiregistration.k8s.io/apiservices",
        "",
        "v1.apps",
        "apiregistration.k8s.io",
        "apiservices");
    names(
        "/registry/apiextensions.k8s.io/customresourcedefinitions/a.b.c",
        "apiextensions.k8s.io/customresourcedefinitions",
        "",
        "a.b.c",
        "apiextensions.k8s.io",
        "customresourcedefinitions");
    names("/registry/b.c/as/ns/n", "b.c/as", "ns", "n", "b.c", "as");
  }

  private static void names(
      String key, String path, String namespace, String name, String group, String plural) {
    Resource resource = new Resource(path);
    ObjectKey object = new ObjectKey(resource, namespace, name);
    assertThat(KEYS.parse(Bytes.of(key))).isEqualTo(object);
    assertThat(KEYS.key(object)).isEqualTo(Bytes.of(key));
    assertThat(resource.group()).isEqualTo(group);
    assertThat(resource.plural()).isEqualTo(plural);
    assertThat(KEYS.keys(resource).contains(Bytes.of(key))).isTrue();
    Place place = new Place.Objects(resource, namespace);
    assertThat(KEYS.place(Bytes.of(key))).isEqualTo(place);
    assertThat(KEYS.place(KeyRange.single(Bytes.of(key)))).isEqualTo(place);
  }

  @Test
  void otherKeysNameNothing() {
    String[] keys = {
      "",
      "/",
      "/registry",
      "/registry/",
      "/registry/pods",
      "/registry/pods/",
      "/registry/pods//a",
      "/registry/pods/a/",
      "/registry/pods/a/b/c",
      "/registry//a",
      "/registry/services/a",
      "/registry/services/specs",
      "/registry/services/specs/",
      "/registry/services/other/a/b",
      "/registry/b.c/as",
      "/registry/b.c/as/",
      "/registry/b.c//a",
      "/other/pods/a/b",
      "/registryx/pods/a/b",
      "compact_rev_key",
      "/registry/health",
    };
    for (String key : keys) {
      assertThat(KEYS.parse(Bytes.of(key))).as(key).isNull();
      boolean ours = key.startsWith("/registry/");
      assertThat(KEYS.place(Bytes.of(key)))
          .as(key)
          .isEqualTo(ours ? new Place.Unclear() : new Place.Elsewhere());
    }
  }

  @Test
  void thePrefixMayBeWrittenInAnyWay() {
    Bytes key = Bytes.of("/a/b/pods/x/y");
    for (String prefix : new String[] {"a/b", "/a/b", "/a/b/", "//a/b//"}) {
      ObjectKey object = new ObjectKey(new Resource("pods"), "x", "y");
      assertThat(new KeySpace(prefix).parse(key)).isEqualTo(object);
      assertThat(new KeySpace(prefix).key(object)).isEqualTo(key);
    }
    assertThat(new KeySpace("").parse(Bytes.of("/pods/x/y")))
        .isEqualTo(new ObjectKey(new Resource("pods"), "x", "y"));
  }

  @Test
  void aRangeBelongsToOneResource() {
    place("/registry/pods/", "/registry/pods0", "pods", "");
    place("/registry/pods/a/", "/registry/pods/a0", "pods", "a");
    place("/registry/pods/a/b\0", "/registry/pods0", "pods", "");
    place("/registry/pods/a/b\0", "/registry/pods/a0", "pods", "a");
    place("/registry/minions/n\0", "/registry/minions0", "minions", "");
    place("/registry/b.c/as/", "/registry/b.c/as0", "b.c/as", "");
    place("/registry/b.c/as/n/", "/registry/b.c/as/n0", "b.c/as", "n");
    place("/registry/services/specs/", "/registry/services/specs0", "services/specs", "");
  }

  @Test
  void aRangeOfAnythingElseIsUnclear() {
    unclear("/registry/pods/", "/registry/pods1");
    unclear("/registry/pods", "/registry/podt");
    unclear("/registry/services/", "/registry/services0");
    unclear("/registry/b.c/", "/registry/b.c0");
    unclear("/registry/tenant/configmaps/default/", "/registry/tenant/configmaps/default0");
    unclear("/registry/tenant/configmaps/default/a\0", "/registry/tenant/configmaps0");
    unclear("/registry/", "/registry0");
    unclear("/", "0");
    unclear("/other/pods/", "/other/pods0");
    assertThat(KEYS.place(new KeyRange(Bytes.of("/registry/pods/"), null)))
        .isEqualTo(new Place.Unclear());
  }

  private static void place(String start, String end, String resource, String namespace) {
    assertThat(KEYS.place(new KeyRange(Bytes.of(start), Bytes.of(end))))
        .isEqualTo(new Place.Objects(new Resource(resource), namespace));
  }

  private static void unclear(String start, String end) {
    assertThat(KEYS.place(new KeyRange(Bytes.of(start), Bytes.of(end))))
        .isEqualTo(new Place.Unclear());
  }

  @Test
  void anyBytesAreAKey() {
    Random random = new Random(5);
    byte[] alphabet = {'/', '/', 'a', '.', 0, (byte) 0xff};
    for (int i = 0; i < 20_000; i++) {
      byte[] tail = new byte[random.nextInt(10)];
      for (int at = 0; at < tail.length; at++) {
        tail[at] = alphabet[random.nextInt(alphabet.length)];
      }
      byte[] key = new byte[10 + tail.length];
      System.arraycopy("/registry/".getBytes(StandardCharsets.UTF_8), 0, key, 0, 10);
      System.arraycopy(tail, 0, key, 10, tail.length);
      ObjectKey parsed = KEYS.parse(Bytes.of(key));
      Place place = KEYS.place(KeyRange.single(Bytes.of(key)));
      if (parsed == null) {
        assertThat(place).isEqualTo(new Place.Unclear());
      } else {
        assertThat(parsed.name()).isNotEmpty();
        assertThat(KEYS.key(parsed)).isEqualTo(Bytes.of(key));
        assertThat(place).isEqualTo(new Place.Objects(parsed.resource(), parsed.namespace()));
      }
    }
  }
}
