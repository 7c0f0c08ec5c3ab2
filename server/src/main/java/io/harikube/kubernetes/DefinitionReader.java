package io.harikube.kubernetes;

import static io.harikube.kubernetes.JsonTree.list;
import static io.harikube.kubernetes.JsonTree.map;
import static io.harikube.kubernetes.JsonTree.string;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import io.harikube.store.Bytes;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads CustomResourceDefinitions, v1 and v1beta1, in JSON and in protobuf. The API server stores
 * them in v1beta1. The protobuf numbers of both are the same.
 */
final class DefinitionReader {
  /** The number of the deletion timestamp in the metadata of an object. */
  private static final int DELETION_TIMESTAMP = 9;

  private DefinitionReader() {}

  /** The custom resource that a definition defines; null if it cannot be understood. */
  static @Nullable CustomResource read(Resource resource, Bytes value) {
    byte[] bytes = value.array();
    try {
      if (ProtobufObject.is(bytes)) {
        return protobuf(bytes).build(resource);
      }
      return JsonObject.is(bytes) ? json(bytes).build(resource) : null;
    } catch (IOException | RuntimeException e) {
      return null;
    }
  }

  private static void require(String apiVersion, String kind) {
    boolean known =
        apiVersion.equals("apiextensions.k8s.io/v1")
            || apiVersion.equals("apiextensions.k8s.io/v1beta1");
    if (!known || !kind.equals("CustomResourceDefinition")) {
      throw new Unreadable("no CustomResourceDefinition");
    }
  }

  private static DefinitionDraft protobuf(byte[] bytes) throws IOException {
    ProtobufObject.Envelope envelope = ProtobufObject.envelope(bytes);
    require(envelope.apiVersion(), envelope.kind());
    DefinitionDraft draft = new DefinitionDraft();
    CodedInputStream in = CodedInputStream.newInstance(bytes, envelope.offset(), envelope.length());
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      switch (WireFormat.getTagFieldNumber(tag)) {
        case 1 -> draft.deleting = ProtobufSchema.find(in.readBytes(), DELETION_TIMESTAMP) != null;
        case 2 -> ProtobufObject.message(in, tag, field -> spec(in, field, draft));
        default -> ProtobufObject.skip(in, tag);
      }
    }
    return draft;
  }

  private static void spec(CodedInputStream in, int tag, DefinitionDraft draft) throws IOException {
    switch (WireFormat.getTagFieldNumber(tag)) {
      case 1 -> draft.group = ProtobufObject.string(in, tag);
      case 2 -> draft.onlyVersion = ProtobufObject.string(in, tag);
      case 3 -> ProtobufObject.message(in, tag, field -> names(in, field, draft));
      case 4 -> draft.scope = ProtobufObject.string(in, tag);
      case 5 -> draft.schema = schema(in.readBytes());
      case 7 -> {
        DefinitionDraft.Version version = new DefinitionDraft.Version();
        ProtobufObject.message(in, tag, field -> version(in, field, version));
        draft.versions.add(version);
      }
      case 9 -> draft.conversion = text(ProtobufSchema.find(in.readBytes(), 1));
      case 11 -> draft.paths.add(text(ProtobufSchema.find(in.readBytes(), 1)));
      default -> ProtobufObject.skip(in, tag);
    }
  }

  private static void names(CodedInputStream in, int tag, DefinitionDraft draft)
      throws IOException {
    switch (WireFormat.getTagFieldNumber(tag)) {
      case 1 -> draft.plural = ProtobufObject.string(in, tag);
      case 4 -> draft.kind = ProtobufObject.string(in, tag);
      default -> ProtobufObject.skip(in, tag);
    }
  }

  private static void version(CodedInputStream in, int tag, DefinitionDraft.Version version)
      throws IOException {
    switch (WireFormat.getTagFieldNumber(tag)) {
      case 1 -> version.name = ProtobufObject.string(in, tag);
      case 2 -> version.served = ProtobufObject.bool(in, tag);
      case 3 -> version.storage = ProtobufObject.bool(in, tag);
      case 4 -> version.schema = schema(in.readBytes());
      case 9 -> version.paths.add(text(ProtobufSchema.find(in.readBytes(), 1)));
      default -> ProtobufObject.skip(in, tag);
    }
  }

  private static Schema schema(ByteString validation) {
    ByteString props = ProtobufSchema.find(validation, 1);
    return props == null ? Schema.EMPTY : new ProtobufSchema(props);
  }

  private static String text(@Nullable ByteString bytes) {
    return bytes == null ? "" : bytes.toStringUtf8();
  }

  private static DefinitionDraft json(byte[] bytes) {
    Map<?, ?> object = map(JsonTree.read(bytes));
    require(string(object, "apiVersion"), string(object, "kind"));
    Map<?, ?> spec = map(object.get("spec"));
    DefinitionDraft draft = new DefinitionDraft();
    draft.deleting = map(object.get("metadata")).get("deletionTimestamp") != null;
    draft.group = string(spec, "group");
    draft.plural = string(map(spec.get("names")), "plural");
    draft.kind = string(map(spec.get("names")), "kind");
    draft.scope = string(spec, "scope");
    draft.conversion = string(map(spec.get("conversion")), "strategy");
    draft.onlyVersion = string(spec, "version");
    draft.schema = schema(spec.get("validation"));
    paths(spec, draft.paths);
    for (Object element : list(spec.get("versions"))) {
      DefinitionDraft.Version version = new DefinitionDraft.Version();
      Map<?, ?> json = map(element);
      version.name = string(json, "name");
      version.served = Boolean.TRUE.equals(json.get("served"));
      version.storage = Boolean.TRUE.equals(json.get("storage"));
      version.schema = schema(json.get("schema"));
      paths(json, version.paths);
      draft.versions.add(version);
    }
    return draft;
  }

  private static void paths(Map<?, ?> json, List<String> paths) {
    for (Object field : list(json.get("selectableFields"))) {
      paths.add(string(map(field), "jsonPath"));
    }
  }

  private static @Nullable Schema schema(@Nullable Object validation) {
    return validation == null ? null : new JsonSchema(map(map(validation).get("openAPIV3Schema")));
  }
}
