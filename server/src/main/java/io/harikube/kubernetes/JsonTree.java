package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * JSON as maps, lists, strings, truth values and null, for objects that are few and not large.
 * Numbers, which nobody asks for, are true. Takes memory in proportion to the value.
 */
final class JsonTree {
  /** Deeper schemas are beyond what the API server takes. */
  private static final int MAX_DEPTH = 500;

  private JsonTree() {}

  /**
   * Reads a value.
   *
   * @throws Unreadable if it is nested too deeply
   * @throws tools.jackson.core.JacksonException if it is no JSON
   */
  static @Nullable Object read(byte[] bytes) {
    try (JsonParser parser = JsonObject.parser(bytes)) {
      parser.nextToken();
      return value(parser, 0);
    }
  }

  private static @Nullable Object value(JsonParser parser, int depth) {
    if (depth > MAX_DEPTH) {
      throw new Unreadable("nested too deeply");
    }
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> map = new HashMap<>();
        for (String key = parser.nextName(); key != null; key = parser.nextName()) {
          parser.nextToken();
          map.put(key, value(parser, depth + 1));
        }
        yield map;
      }
      case START_ARRAY -> {
        List<@Nullable Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          list.add(value(parser, depth + 1));
        }
        yield list;
      }
      case VALUE_STRING -> parser.getString();
      case VALUE_FALSE -> false;
      case VALUE_NULL -> null;
      default -> true;
    };
  }

  // What is of another type, or not there, is empty.

  static String string(Map<?, ?> json, String name) {
    return json.get(name) instanceof String text ? text : "";
  }

  static Map<?, ?> map(@Nullable Object value) {
    return value instanceof Map<?, ?> map ? map : Map.of();
  }

  static List<?> list(@Nullable Object value) {
    return value instanceof List<?> list ? list : List.of();
  }
}
