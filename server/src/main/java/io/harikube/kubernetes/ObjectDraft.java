package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What has been read of an object so far. */
final class ObjectDraft {
  String apiVersion = "";
  String kind = "";
  String name = "";
  String namespace = "";
  String uid = "";
  Map<String, String> labels = new HashMap<>();
  List<OwnerReference> owners = new ArrayList<>(1);
  List<String> finalizers = new ArrayList<>(1);
  boolean deleting;
  long deletionGracePeriodSeconds;

  void clearMetadata() {
    name = "";
    namespace = "";
    uid = "";
    labels = new HashMap<>();
    owners = new ArrayList<>(1);
    finalizers = new ArrayList<>(1);
    deleting = false;
    deletionGracePeriodSeconds = 0;
  }

  void requireKind() {
    if (apiVersion.isEmpty() || kind.isEmpty()) {
      throw new Unreadable("no Kubernetes object");
    }
  }

  ObjectInfo build(KindFields kindFields, @Nullable Object[] values) {
    Map<String, String> fields = new HashMap<>();
    fields.put("metadata.name", name);
    fields.put("metadata.namespace", namespace);
    kindFields.resolve(values, fields);
    return new ObjectInfo(
        apiVersion,
        kind,
        namespace,
        name,
        uid,
        Collections.unmodifiableMap(kindFields.labels(labels, name, values)),
        Collections.unmodifiableMap(fields),
        Collections.unmodifiableList(owners),
        Collections.unmodifiableList(finalizers),
        deleting,
        deletionGracePeriodSeconds);
  }
}
