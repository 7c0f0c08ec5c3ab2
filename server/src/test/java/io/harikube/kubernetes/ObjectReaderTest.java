package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ObjectReaderTest {
  @Test
  void whatIsNoObjectIsOpaque() {
    String[] values = {
      "",
      " ",
      "null",
      "[]",
      "{}",
      "{",
      "k8s",
      "k8s\0",
      "k8s:enc:aescbc:v1:key1:xyz",
      "1",
      "\"a\"",
      "{\"kind\":\"Pod\"}",
      "{\"apiVersion\":\"v1\"}",
      "{\"kind\":\"\",\"apiVersion\":\"v1\"}",
      "{\"kind\":1,\"apiVersion\":\"v1\"}",
      "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}}",
      "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"} {}",
      pod("\"metadata\":[]"),
      pod("\"metadata\":{\"name\":1}"),
      pod("\"metadata\":{\"labels\":{\"a\":1}}"),
      pod("\"metadata\":{\"labels\":{\"a\":null}}"),
      pod("\"metadata\":{\"labels\":{\"a\":\"\\ud800\"}}"),
      pod("\"metadata\":{\"labels\":{\"a\":\"\\ud800\\ud800\"}}"),
      pod("\"metadata\":{\"finalizers\":\"a\"}"),
      pod("\"metadata\":{\"ownerReferences\":[1]}"),
      pod("\"a\":01"),
      pod("\"a\":\"\n\""),
    };
    for (String value : values) {
      assertThat(ObjectReader.read(Bytes.of(value), null)).as(value).isInstanceOf(Opaque.class);
    }
    byte[] cbor = {(byte) 0xd9, (byte) 0xd9, (byte) 0xf7, (byte) 0xa0};
    assertThat(ObjectReader.read(Bytes.of(cbor), null)).isInstanceOf(Opaque.class);
    byte[] utf16 = {'{', 0, '}', 0};
    assertThat(ObjectReader.read(Bytes.of(utf16), null)).isInstanceOf(Opaque.class);
    byte[] latin1 = {'{', '"', (byte) 0xe4, '"', ':', '1', '}'};
    assertThat(ObjectReader.read(Bytes.of(latin1), null)).isInstanceOf(Opaque.class);
  }

  @Test
  void theLastOfEqualKeysCounts() {
    ObjectInfo info =
        read(
            pod(
                "\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"1\",\"x\":\"2\"},\"name\":\"b\"},"
                    + "\"spec\":{\"nodeName\":\"n\"},\"spec\":{\"schedulerName\":\"s\"},"
                    + "\"status\":{\"phase\":\"Failed\"},\"status\":null"));
    assertThat(info.name()).isEqualTo("b");
    assertThat(info.labels()).isEqualTo(Map.of("x", "2"));
    assertThat(info.fields())
        .containsEntry("spec.nodeName", "")
        .containsEntry("spec.schedulerName", "s")
        .containsEntry("status.phase", "");
    assertThat(read(pod("\"metadata\":{\"name\":\"a\"},\"metadata\":{\"uid\":\"u\"}")).name())
        .isEmpty();
    ObjectInfo node = read(pod("\"spec\":{\"unschedulable\":true},\"kind\":\"Node\""));
    assertThat(node.fields()).containsEntry("spec.unschedulable", "true").hasSize(3);
  }

  @Test
  void aFieldOfAnotherTypeIsNotKnown() {
    ObjectInfo info =
        read(pod("\"spec\":{\"nodeName\":1,\"hostNetwork\":\"true\"},\"status\":{\"podIP\":{}}"));
    assertThat(info.fields())
        .doesNotContainKeys("spec.nodeName", "spec.hostNetwork", "status.podIP")
        .containsEntry("spec.restartPolicy", "Always");
    String job = "{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\",\"status\":{\"succeeded\":%s}}";
    assertThat(read(job.formatted("2147483647")).fields())
        .containsEntry("status.successful", "2147483647");
    assertThat(read(job.formatted("2147483648")).fields()).doesNotContainKey("status.successful");
    assertThat(read(job.formatted("1.0")).fields()).doesNotContainKey("status.successful");
  }

  @Test
  void theFirstAddressOfAPodIsItsAddress() {
    assertThat(read(pod("\"status\":{\"podIPs\":[{\"ip\":\"1\"},{\"ip\":\"2\"}]}")).fields())
        .containsEntry("status.podIP", "1");
    assertThat(read(pod("\"status\":{\"podIPs\":[{},{\"ip\":\"2\"}]}")).fields())
        .containsEntry("status.podIP", "");
    assertThat(read(pod("\"status\":{\"podIP\":\"3\",\"podIPs\":[{\"ip\":\"1\"}]}")).fields())
        .containsEntry("status.podIP", "3");
  }

  @Test
  void aKindOrVersionThatIsNotKnownHasNoFieldsButThoseOfMetadata() {
    String json = "{\"kind\":\"Pod\",\"apiVersion\":\"%s\",\"metadata\":{\"name\":\"a\"}}";
    assertThat(read(json.formatted("v2")).fields())
        .isEqualTo(Map.of("metadata.name", "a", "metadata.namespace", ""));
    ObjectInfo info = read(json.formatted("example.com/v1"));
    assertThat(info.group()).isEqualTo("example.com");
    assertThat(info.version()).isEqualTo("v1");
    assertThat(read(json.formatted("v1")).group()).isEmpty();
    assertThat(read(json.formatted("v1")).version()).isEqualTo("v1");
  }

  @Test
  void depthAndLengthDoNotMatter() {
    String deep = "{\"a\":".repeat(9_000) + "1" + "}".repeat(9_000);
    assertThat(ObjectReader.read(Bytes.of(pod("\"x\":" + deep)), null))
        .isInstanceOf(ObjectInfo.class);
    String deeper = "[".repeat(2_000_000);
    assertThat(ObjectReader.read(Bytes.of(pod("\"x\":" + deeper)), null))
        .isInstanceOf(Opaque.class);
    String number = "1".repeat(3_000_000);
    String text = "a".repeat(30_000_000);
    ObjectInfo info =
        read(pod("\"x\":" + number + ",\"y\":\"" + text + "\",\"metadata\":{\"name\":\"n\"}"));
    assertThat(info.name()).isEqualTo("n");
  }

  private static String pod(String rest) {
    return "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"," + rest + "}";
  }

  private static ObjectInfo read(String json) {
    return (ObjectInfo) ObjectReader.read(Bytes.of(json), null);
  }
}
