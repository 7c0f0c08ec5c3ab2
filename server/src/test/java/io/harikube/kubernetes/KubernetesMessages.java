package io.harikube.kubernetes;

import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FileDescriptor;
import java.util.Arrays;

/**
 * The messages of Kubernetes as far as the tests of edits need them; {@code Object} stands for any
 * kind, and holds its metadata in bytes.
 */
final class KubernetesMessages {
  private static final FileDescriptor FILE = file();

  private KubernetesMessages() {}

  static Descriptor type(String name) {
    return FILE.findMessageTypeByName(name);
  }

  private static FileDescriptor file() {
    FileDescriptorProto file =
        FileDescriptorProto.newBuilder()
            .setName("kubernetes.proto")
            .addMessageType(message("TypeMeta", text("apiVersion", 1), text("kind", 2)))
            .addMessageType(
                message(
                    "Unknown",
                    message("typeMeta", 1, "TypeMeta"),
                    scalar("raw", 2, FieldDescriptorProto.Type.TYPE_BYTES),
                    text("contentEncoding", 3),
                    text("contentType", 4)))
            .addMessageType(
                message("Object", scalar("metadata", 1, FieldDescriptorProto.Type.TYPE_BYTES)))
            .addMessageType(
                message(
                    "ObjectMeta",
                    text("name", 1),
                    scalar("generation", 7, FieldDescriptorProto.Type.TYPE_INT64),
                    message("deletionTimestamp", 9, "Time"),
                    scalar("deletionGracePeriodSeconds", 10, FieldDescriptorProto.Type.TYPE_INT64),
                    repeated(message("labels", 11, "Entry")),
                    repeated(message("ownerReferences", 13, "OwnerReference")),
                    repeated(text("finalizers", 14))))
            .addMessageType(
                message(
                    "Time",
                    scalar("seconds", 1, FieldDescriptorProto.Type.TYPE_INT64),
                    scalar("nanos", 2, FieldDescriptorProto.Type.TYPE_INT32)))
            .addMessageType(message("Entry", text("key", 1), text("value", 2)))
            .addMessageType(
                message(
                    "OwnerReference",
                    text("name", 3),
                    text("uid", 4),
                    scalar("blockOwnerDeletion", 7, FieldDescriptorProto.Type.TYPE_BOOL)))
            .build();
    try {
      return FileDescriptor.buildFrom(file, new FileDescriptor[0]);
    } catch (DescriptorValidationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static DescriptorProto message(String name, FieldDescriptorProto.Builder... fields) {
    DescriptorProto.Builder message = DescriptorProto.newBuilder().setName(name);
    Arrays.stream(fields).forEach(message::addField);
    return message.build();
  }

  private static FieldDescriptorProto.Builder scalar(
      String name, int number, FieldDescriptorProto.Type type) {
    return FieldDescriptorProto.newBuilder()
        .setName(name)
        .setNumber(number)
        .setType(type)
        .setLabel(FieldDescriptorProto.Label.LABEL_OPTIONAL);
  }

  private static FieldDescriptorProto.Builder text(String name, int number) {
    return scalar(name, number, FieldDescriptorProto.Type.TYPE_STRING);
  }

  private static FieldDescriptorProto.Builder message(String name, int number, String type) {
    return scalar(name, number, FieldDescriptorProto.Type.TYPE_MESSAGE).setTypeName(type);
  }

  private static FieldDescriptorProto.Builder repeated(FieldDescriptorProto.Builder field) {
    return field.setLabel(FieldDescriptorProto.Label.LABEL_REPEATED);
  }
}
