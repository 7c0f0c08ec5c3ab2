package io.harikube.kubernetes;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * What Kubernetes itself answered, written by {@code make kubernetes-samples} and {@code make
 * kubernetes-kinds}: JSON, by lines.
 */
final class Samples {
  private static final JsonFactory JSON = new JsonFactory();

  private Samples() {}

  static List<Line> read(String name) {
    List<Line> lines = new ArrayList<>();
    try (InputStream in = Objects.requireNonNull(Samples.class.getResourceAsStream(name));
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      for (String text = reader.readLine(); text != null; text = reader.readLine()) {
        lines.add(new Line(parse(text)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return lines;
  }

  private static Map<?, ?> parse(String text) {
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), text)) {
      parser.nextToken();
      return (Map<?, ?>) Objects.requireNonNull(value(parser));
    }
  }

  private static @Nullable Object value(JsonParser parser) {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
          parser.nextToken();
          map.put(name, value(parser));
        }
        yield map;
      }
      case START_ARRAY -> {
        List<@Nullable Object> list = new ArrayList<>();
        while (parser.nextToken() != tools.jackson.core.JsonToken.END_ARRAY) {
          list.add(value(parser));
        }
        yield list;
      }
      case VALUE_NULL -> null;
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT -> parser.getIntValue();
      default -> parser.getString();
    };
  }

  /** One line; a field that is not there is empty. */
  record Line(Map<?, ?> values) {
    boolean has(String name) {
      return values.containsKey(name);
    }

    String text(String name) {
      return values.get(name) instanceof String text ? text : "";
    }

    boolean is(String name) {
      return Boolean.TRUE.equals(values.get(name));
    }

    List<?> list(String name) {
      return values.get(name) instanceof List<?> list ? list : List.of();
    }

    Map<String, String> map(String name) {
      return strings(values.get(name));
    }

    List<Map<String, String>> maps(String name) {
      return list(name).stream().map(Line::strings).toList();
    }

    private static Map<String, String> strings(@Nullable Object value) {
      Map<String, String> strings = new LinkedHashMap<>();
      if (value instanceof Map<?, ?> map) {
        map.forEach((k, v) -> strings.put((String) k, (String) v));
      }
      return strings;
    }
  }
}
