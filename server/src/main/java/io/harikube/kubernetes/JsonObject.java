package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;

/**
 * Objects in JSON. Of a key that is there more than once the last one counts, as in Go.
 *
 * <p>Usually the kind comes before all that depends on it, as Kubernetes writes it, and one pass is
 * enough; otherwise the fields are picked up in a second one.
 */
final class JsonObject {
  /** Go refuses deeper ones; the values themselves are as long as the store lets them be. */
  private static final int MAX_DEPTH = 10_000;

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxNameLength(Integer.MAX_VALUE)
                  .maxNumberLength(Integer.MAX_VALUE)
                  .build())
          // Keys of objects are whatever users write: they are neither kept for ever nor refused.
          .disable(TokenStreamFactory.Feature.INTERN_PROPERTY_NAMES)
          .disable(TokenStreamFactory.Feature.FAIL_ON_SYMBOL_HASH_OVERFLOW)
          .disable(TokenStreamFactory.Feature.CHARSET_DETECTION)
          .build();

  private final JsonParser parser;
  private final @Nullable CustomResource custom;
  private final ObjectDraft draft = new ObjectDraft();

  /** The fields of the kind, as far as it is known yet. */
  private KindFields fields = KindFields.NONE;

  private @Nullable Object[] values = new @Nullable Object[0];

  /** Whether something was passed by before the kind was known. */
  private boolean passedBy;

  private JsonObject(JsonParser parser, @Nullable CustomResource custom) {
    this.parser = parser;
    this.custom = custom;
  }

  static boolean is(byte[] bytes) {
    for (byte b : bytes) {
      if (b != ' ' && b != '\t' && b != '\r' && b != '\n') {
        return b == '{';
      }
    }
    return false;
  }

  static JsonParser parser(byte[] bytes) {
    return parser(bytes, 0, bytes.length);
  }

  /** Reads a part of the bytes; places are told from where it begins. */
  static JsonParser parser(byte[] bytes, int from, int length) {
    return FACTORY.createParser(ObjectReadContext.empty(), bytes, from, length);
  }

  static ObjectInfo read(byte[] bytes, @Nullable CustomResource custom) {
    ObjectDraft draft;
    try (JsonParser parser = parser(bytes)) {
      JsonObject object = new JsonObject(parser, custom);
      object.pass();
      draft = object.draft;
      draft.requireKind();
      KindFields fields = object.fieldsOfKind();
      if (fields == object.fields && (!object.passedBy || fields.slots() == 0)) {
        return draft.build(fields, object.values);
      }
    }
    try (JsonParser parser = parser(bytes)) {
      JsonObject object = new JsonObject(parser, custom);
      object.draft.apiVersion = draft.apiVersion;
      object.draft.kind = draft.kind;
      object.use(object.fieldsOfKind());
      parser.nextToken();
      object.pickUp(object.fields.tree());
      return draft.build(object.fields, object.values);
    }
  }

  private void pass() {
    parser.nextToken();
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      parser.nextToken();
      switch (key) {
        case "apiVersion" -> draft.apiVersion = string();
        case "kind" -> draft.kind = string();
        case "metadata" -> metadata();
        default -> {
          if (draft.apiVersion.isEmpty() || draft.kind.isEmpty()) {
            passedBy = true;
            parser.skipChildren();
          } else {
            if (fields == KindFields.NONE) {
              use(fieldsOfKind());
            }
            pickUp(fields.tree().child(key));
          }
        }
      }
    }
    if (parser.nextToken() != null) {
      throw new Unreadable("something behind the object");
    }
    if (fields == KindFields.NONE && !passedBy) {
      use(fieldsOfKind());
    }
  }

  private KindFields fieldsOfKind() {
    KindFields builtIn = BuiltInKinds.fields(draft.apiVersion, draft.kind);
    return builtIn == KindFields.NONE && custom != null
        ? custom.fields(draft.apiVersion, draft.kind)
        : builtIn;
  }

  private void use(KindFields kindFields) {
    fields = kindFields;
    values = new @Nullable Object[kindFields.slots()];
  }

  private void metadata() {
    draft.clearMetadata();
    if (!isObject()) {
      return;
    }
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      parser.nextToken();
      switch (key) {
        case "name" -> draft.name = string();
        case "namespace" -> draft.namespace = string();
        case "uid" -> draft.uid = string();
        case "labels" -> draft.labels = isObject() ? strings() : new HashMap<>();
        case "ownerReferences" -> draft.owners = list(this::owner);
        case "finalizers" -> draft.finalizers = list(this::string);
        case "deletionTimestamp" -> {
          draft.deleting = parser.currentToken() != JsonToken.VALUE_NULL;
          parser.skipChildren();
        }
        case "deletionGracePeriodSeconds" -> draft.deletionGracePeriodSeconds = number();
        default -> parser.skipChildren();
      }
    }
  }

  private OwnerReference owner() {
    String apiVersion = "";
    String kind = "";
    String name = "";
    String uid = "";
    boolean controller = false;
    boolean block = false;
    if (isObject()) {
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        parser.nextToken();
        switch (key) {
          case "apiVersion" -> apiVersion = string();
          case "kind" -> kind = string();
          case "name" -> name = string();
          case "uid" -> uid = string();
          case "controller" -> controller = bool();
          case "blockOwnerDeletion" -> block = bool();
          default -> parser.skipChildren();
        }
      }
    }
    return new OwnerReference(apiVersion, kind, name, uid, controller, block);
  }

  private interface Element<T> {
    T read();
  }

  private <T> List<T> list(Element<T> element) {
    List<T> list = new ArrayList<>(1);
    JsonToken token = parser.currentToken();
    if (token == JsonToken.VALUE_NULL) {
      return list;
    }
    require(token == JsonToken.START_ARRAY);
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      list.add(element.read());
    }
    return list;
  }

  /** Picks up what the tree asks for of the value that the parser is at; null asks for nothing. */
  private void pickUp(@Nullable FieldTree tree) {
    if (tree == null) {
      parser.skipChildren();
      return;
    }
    tree.clear(values);
    if (tree.isList()) {
      if (parser.currentToken() == JsonToken.START_ARRAY) {
        if (parser.nextToken() != JsonToken.END_ARRAY) {
          members(tree);
          rest();
        }
        return;
      }
      parser.skipChildren();
    } else if (tree.isLeaf()) {
      values[tree.slot()] = leaf(tree.form());
    } else {
      members(tree);
    }
  }

  private void members(FieldTree tree) {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      parser.skipChildren();
      return;
    }
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      parser.nextToken();
      pickUp(tree.child(key));
    }
  }

  /** Skips the other elements of a list. */
  private void rest() {
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      parser.skipChildren();
    }
  }

  private @Nullable Object leaf(Form form) {
    return switch (parser.currentToken()) {
      case VALUE_NULL -> null;
      case VALUE_STRING ->
          form == Form.STRING || form == Form.SCALAR ? text() : FieldTree.Invalid.INVALID;
      case VALUE_TRUE ->
          form == Form.BOOL || form == Form.SCALAR ? "true" : FieldTree.Invalid.INVALID;
      case VALUE_FALSE ->
          form == Form.BOOL || form == Form.SCALAR ? "false" : FieldTree.Invalid.INVALID;
      case VALUE_NUMBER_INT -> integer(form);
      case START_OBJECT -> {
        if (form == Form.LABELS) {
          yield strings();
        }
        parser.skipChildren();
        yield FieldTree.Invalid.INVALID;
      }
      default -> {
        parser.skipChildren();
        yield FieldTree.Invalid.INVALID;
      }
    };
  }

  private Object integer(Form form) {
    JsonParser.NumberType type = parser.getNumberType();
    boolean small = type == JsonParser.NumberType.INT;
    boolean fits = form == Form.SCALAR ? small || type == JsonParser.NumberType.LONG : small;
    return fits && (form == Form.INT32 || form == Form.SCALAR)
        ? Long.toString(parser.getLongValue())
        : FieldTree.Invalid.INVALID;
  }

  private Map<String, String> strings() {
    Map<String, String> strings = new HashMap<>();
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      require(parser.nextToken() == JsonToken.VALUE_STRING);
      strings.put(wellFormed(key), text());
    }
    return strings;
  }

  private boolean isObject() {
    JsonToken token = parser.currentToken();
    require(token == JsonToken.START_OBJECT || token == JsonToken.VALUE_NULL);
    return token == JsonToken.START_OBJECT;
  }

  /** A string; null is the empty one. */
  private String string() {
    if (parser.currentToken() == JsonToken.VALUE_NULL) {
      return "";
    }
    require(parser.currentToken() == JsonToken.VALUE_STRING);
    return text();
  }

  /** A whole number; null is 0. */
  private long number() {
    if (parser.currentToken() == JsonToken.VALUE_NULL) {
      return 0;
    }
    require(parser.currentToken() == JsonToken.VALUE_NUMBER_INT);
    return parser.getLongValue();
  }

  private boolean bool() {
    JsonToken token = parser.currentToken();
    require(
        token == JsonToken.VALUE_TRUE
            || token == JsonToken.VALUE_FALSE
            || token == JsonToken.VALUE_NULL);
    return token == JsonToken.VALUE_TRUE;
  }

  private String text() {
    return wellFormed(Objects.requireNonNull(parser.getString()));
  }

  /** Refuses half of a surrogate pair, which an escape can write and no encoding can keep. */
  private static String wellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        boolean pair =
            Character.isHighSurrogate(c)
                && i + 1 < text.length()
                && Character.isLowSurrogate(text.charAt(i + 1));
        require(pair);
        i++;
      }
    }
    return text;
  }

  private static void require(boolean expected) {
    if (!expected) {
      throw new Unreadable("a field of another type than expected");
    }
  }
}
