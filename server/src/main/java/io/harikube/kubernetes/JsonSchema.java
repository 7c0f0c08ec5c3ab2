package io.harikube.kubernetes;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A schema in JSON. */
record JsonSchema(Map<?, ?> json) implements Schema {
  @Override
  public boolean hasDefault() {
    return json.get("default") != null;
  }

  @Override
  public @Nullable Schema member(String name) {
    if (json.get("properties") instanceof Map<?, ?> properties
        && properties.get(name) instanceof Map<?, ?> property) {
      return new JsonSchema(property);
    }
    return json.get("additionalProperties") instanceof Map<?, ?> any ? new JsonSchema(any) : null;
  }
}
