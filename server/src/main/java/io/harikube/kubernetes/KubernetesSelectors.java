package io.harikube.kubernetes;

import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import io.harikube.store.Selectors;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Labels and fields as attributes, and selectors as filters over them.
 *
 * <p>A label is an attribute as it is. A field is one if it is not empty, because to a selector a
 * missing field is an empty one; a field that is not certain (a default of the definition may stand
 * in for it) has a value of its own, which every requirement lets through. The names of a custom
 * resource's fields contain a checksum of its definition: what was read by one definition is not
 * taken for what another one says.
 *
 * <p>What is not understood is left out of a filter: the API server looks at everything once more.
 * The names and namespaces of objects are in their keys.
 */
public final class KubernetesSelectors implements Selectors, AttributeReader {
  private static final String LABEL = "l:";
  private static final String FIELD = "f:";

  /** The value of a field that may have any. */
  private static final String UNCERTAIN = "\0?";

  private static final String NAME = "metadata.name";
  private static final String NAMESPACE = "metadata.namespace";
  private static final Set<String> IN_THE_KEY = Set.of(NAME, NAMESPACE);

  /** A custom resource as it is looked at. */
  private record Known(
      CustomResource definition, Map<String, String> names, Set<String> addedNames) {
    static Known of(CustomResource definition) {
      Map<String, String> names = addedNamesByField(definition);
      return new Known(definition, Map.copyOf(names), Set.copyOf(names.values()));
    }
  }

  /** Stands for all resources that may have been changed by a commit of too many events. */
  private static final Resource ANY = new Resource("");

  private final KeySpace keys;
  private final KeyRange definitions;
  private final Map<Resource, Known> custom = new ConcurrentHashMap<>();

  /**
   * Custom resources whose definition is being changed and not yet learnt, with the revision of the
   * last change.
   */
  private final Map<Resource, Long> changing = new ConcurrentHashMap<>();

  private final AtomicLong generation = new AtomicLong();

  public KubernetesSelectors(KeySpace keys) {
    this.keys = keys;
    this.definitions = keys.keys(Resource.CUSTOM_RESOURCE_DEFINITIONS);
  }

  @Override
  public AttributeReader reader() {
    return this;
  }

  @Override
  public long generation() {
    return generation.get();
  }

  @Override
  public Attributes read(Bytes key, Bytes value) {
    ObjectKey object = keys.parse(key);
    if (object == null) {
      return Attributes.NONE;
    }
    Known known = custom.get(object.resource());
    return switch (ObjectReader.read(value, known == null ? null : known.definition)) {
      case Opaque _ -> Attributes.UNKNOWN;
      case ObjectInfo info -> attributes(object.resource(), known, info);
    };
  }

  private static Attributes attributes(Resource resource, @Nullable Known known, ObjectInfo info) {
    Map<String, String> attributes = new HashMap<>();
    info.labels().forEach((name, value) -> attributes.put(LABEL + name, value));
    names(resource, known)
        .forEach(
            (field, name) -> {
              String value = info.fields().get(field);
              if (value == null) {
                attributes.put(name, UNCERTAIN);
              } else if (!value.isEmpty()) {
                attributes.put(name, certain(value));
              }
            });
    return new Attributes(attributes, known == null ? Set.of() : known.addedNames);
  }

  /** The value of an attribute for the value of a field: never {@link #UNCERTAIN}. */
  private static String certain(String value) {
    return value.startsWith("\0") ? "\0" + value : value;
  }

  /** The fields of a resource with the names of their attributes. */
  private static Map<String, String> names(Resource resource, @Nullable Known known) {
    return known == null ? BuiltInNames.of(resource) : known.names;
  }

  /** The names of the attributes of the built-in resources. */
  private static final class BuiltInNames {
    private static final Map<Resource, Map<String, String>> NAMES = new ConcurrentHashMap<>();

    static Map<String, String> of(Resource resource) {
      Map<String, String> names = NAMES.get(resource);
      if (names == null) {
        names = new HashMap<>();
        for (String field : BuiltInKinds.labels(resource)) {
          if (!IN_THE_KEY.contains(field)) {
            names.put(field, FIELD + field);
          }
        }
        names = Map.copyOf(names);
        if (!names.isEmpty()) {
          NAMES.put(resource, names);
        }
      }
      return names;
    }
  }

  /** Objects of a namespace are together. */
  private KeyRange within(KeyRange range, Resource resource, List<FieldRequirement> fields) {
    String namespace = value(NAMESPACE, fields);
    return namespace.isEmpty() ? range : range.intersect(keys.keys(resource, namespace));
  }

  /** The value that a field must have; empty if that is not said. */
  private static String value(String field, List<FieldRequirement> requirements) {
    for (FieldRequirement requirement : requirements) {
      if (requirement instanceof FieldRequirement.Is(var name, var value) && name.equals(field)) {
        return value;
      }
    }
    return "";
  }

  /** What a selector asks for; nothing if it is none. */
  private static List<FieldRequirement> fieldRequirements(String selector) {
    try {
      return FieldSelector.parse(selector).requirements();
    } catch (SelectorException e) {
      return List.of();
    }
  }

  @Override
  public Selected select(KeyRange range, String labelSelector, String fieldSelector) {
    Resource resource = keys.resource(range);
    if (resource == null) {
      return new Selected(range, Filter.NONE);
    }
    List<Requirement> requirements = new ArrayList<>();
    try {
      for (LabelRequirement requirement : LabelSelector.parse(labelSelector).requirements()) {
        requirements.add(label(requirement));
      }
    } catch (SelectorException e) {
      requirements.clear();
    }
    List<FieldRequirement> fields = fieldRequirements(fieldSelector);
    Map<String, String> names = filterNames(resource);
    for (FieldRequirement requirement : fields) {
      String name = names.get(requirement.field());
      if (name != null) {
        requirements.add(field(name, requirement));
      }
    }
    String name = value(NAME, fields);
    Bytes keyEnd = name.isEmpty() ? Bytes.EMPTY : Bytes.of("/" + name);
    return new Selected(within(range, resource, fields), new Filter(requirements, keyEnd));
  }

  /**
   * The fields that filters may look at. While a definition is new the API server may know a
   * default of which the attributes know nothing.
   */
  private Map<String, String> filterNames(Resource resource) {
    boolean unsure = changing.containsKey(resource) || changing.containsKey(ANY);
    Known known = custom.get(resource);
    return unsure && known != null ? Map.of() : names(resource, known);
  }

  @Override
  public void committing(@Nullable List<Event> events, long revision) {
    if (events == null) {
      changing.put(ANY, revision);
      return;
    }
    for (Event event : events) {
      if (definitions.contains(event.kv().key())) {
        Resource resource = defined(event.kv().key());
        if (resource != null) {
          changing.put(resource, revision);
        }
      }
    }
  }

  /** Says that all changes of definitions up to a revision are known. */
  void learnt(long revision) {
    changing.values().removeIf(changed -> changed <= revision);
  }

  /** The custom resource that a definition with this key is of; null if it is none. */
  @Nullable Resource defined(Bytes key) {
    ObjectKey object = keys.parse(key);
    return object == null ? null : Resource.defined(object);
  }

  private static Requirement label(LabelRequirement requirement) {
    String name = LABEL + requirement.key();
    return switch (requirement) {
      case LabelRequirement.In(var _, var values) -> new Requirement(name, Operator.IN, values, 0);
      case LabelRequirement.NotIn(var _, var values) ->
          new Requirement(name, Operator.NOT_IN, values, 0);
      case LabelRequirement.Exists _ -> new Requirement(name, Operator.PRESENT, List.of(), 0);
      case LabelRequirement.Absent _ -> new Requirement(name, Operator.ABSENT, List.of(), 0);
      case LabelRequirement.GreaterThan(var _, var bound) ->
          new Requirement(name, Operator.ABOVE, List.of(), bound);
      case LabelRequirement.LessThan(var _, var bound) ->
          new Requirement(name, Operator.BELOW, List.of(), bound);
    };
  }

  private static Requirement field(String name, FieldRequirement requirement) {
    String value = certain(requirement.value());
    return switch (requirement) {
      case FieldRequirement.Is _ ->
          value.isEmpty()
              ? new Requirement(name, Operator.ABSENT, List.of(UNCERTAIN), 0)
              : new Requirement(name, Operator.IN, List.of(value, UNCERTAIN), 0);
      case FieldRequirement.IsNot _ ->
          value.isEmpty()
              ? new Requirement(name, Operator.PRESENT, List.of(), 0)
              : new Requirement(name, Operator.NOT_IN, List.of(value), 0);
    };
  }

  /** The names of the attributes that the definition of a resource adds. */
  Set<String> addedNames(Resource resource) {
    Known known = custom.get(resource);
    return known == null ? Set.of() : known.addedNames;
  }

  private static Map<String, String> addedNamesByField(CustomResource definition) {
    Map<String, String> names = new HashMap<>();
    if (definition.isConvertedByWebhook() && definition.versions().size() > 1) {
      // A field of one version may be another one in the stored version.
      return names;
    }
    CRC32C crc = new CRC32C();
    crc.update(definition.toString().getBytes(StandardCharsets.UTF_8));
    String suffix = "@" + definition.resource().path() + "#" + Long.toHexString(crc.getValue());
    for (String field : definition.fieldLabels()) {
      if (!IN_THE_KEY.contains(field)) {
        names.put(field, Attributes.added(FIELD + field + suffix));
      }
    }
    return names;
  }

  /** What is known of a custom resource. */
  @Nullable CustomResource definition(Resource resource) {
    Known known = custom.get(resource);
    return known == null ? null : known.definition;
  }

  /** Takes note of a custom resource, or that there is no such resource any more. */
  void define(Resource resource, @Nullable CustomResource definition) {
    if (definition == null) {
      custom.remove(resource);
    } else {
      custom.put(resource, Known.of(definition));
    }
    generation.incrementAndGet();
  }

  /** The custom resources that are known. */
  Set<Resource> defined() {
    return Set.copyOf(custom.keySet());
  }

  KeySpace keys() {
    return keys;
  }
}
