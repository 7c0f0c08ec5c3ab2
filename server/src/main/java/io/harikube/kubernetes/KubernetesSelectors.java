package io.harikube.kubernetes;

import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import io.harikube.store.Selectors;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Labels and fields as attributes, and selectors as filters over them.
 *
 * <p>A label is an attribute as it is. A field is one if it is not empty, because to a selector a
 * missing field is an empty one; a field that is not certain (a default of the definition may stand
 * in for it) has a value of its own, which every requirement lets through.
 *
 * <p>What is not understood is left out of a filter: the API server looks at everything once more.
 * The names and namespaces of objects are in their keys.
 */
public final class KubernetesSelectors implements Selectors, AttributeReader {
  /** The value of a field that may have any. */
  private static final String UNCERTAIN = "\0?";

  private static final String NAME = "metadata.name";
  private static final String NAMESPACE = "metadata.namespace";
  private static final Set<String> IN_THE_KEY = Set.of(NAME, NAMESPACE);

  /** So long a selector waits for a definition that has just been changed. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(2);

  /** A custom resource as it is looked at. */
  private record Known(
      CustomResource definition, Map<String, AttributeName> names, Set<AttributeName> addedNames) {
    static Known of(CustomResource definition) {
      Map<String, AttributeName> names = new HashMap<>();
      for (String field : definition.fieldLabels()) {
        if (!IN_THE_KEY.contains(field)) {
          names.put(field, AttributeNames.field(field, definition));
        }
      }
      return new Known(definition, Map.copyOf(names), Set.copyOf(names.values()));
    }
  }

  private final KeySpace keys;
  private final KeyRange definitions;
  private final Map<Resource, Known> custom = new ConcurrentHashMap<>();
  private final Kinds kinds = new Kinds();

  /**
   * Custom resources whose definition is being changed and not yet learnt, with the revision of the
   * last change.
   */
  private final Map<Resource, Long> changing = new ConcurrentHashMap<>();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition learnt = lock.newCondition();
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
    return switch (keys.place(key)) {
      case Place.Elsewhere _ -> Attributes.NONE;
      case Place.Unclear _ -> Attributes.UNKNOWN;
      case Place.Objects(Resource resource, String _) -> read(resource, value);
    };
  }

  private Attributes read(Resource resource, Bytes value) {
    Known known = custom.get(resource);
    return switch (ObjectReader.read(value, known == null ? null : known.definition)) {
      case Opaque _ -> Attributes.UNKNOWN;
      case ObjectInfo info -> attributes(resource, known, info);
    };
  }

  private static Attributes attributes(Resource resource, @Nullable Known known, ObjectInfo info) {
    Map<AttributeName, String> attributes = new HashMap<>();
    info.labels().forEach((name, value) -> attributes.put(AttributeNames.label(name), value));
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
    Edges.add(resource, info, attributes);
    return new Attributes(attributes, known == null ? Set.of() : known.addedNames);
  }

  /** The value of an attribute for the value of a field: never {@link #UNCERTAIN}. */
  private static String certain(String value) {
    return value.startsWith("\0") ? "\0" + value : value;
  }

  /** The fields of a resource with the names of their attributes. */
  private static Map<String, AttributeName> names(Resource resource, @Nullable Known known) {
    return known == null ? BuiltInNames.of(resource) : known.names;
  }

  /** The names of the attributes of the built-in resources. */
  private static final class BuiltInNames {
    private static final Map<Resource, Map<String, AttributeName>> NAMES =
        new ConcurrentHashMap<>();

    static Map<String, AttributeName> of(Resource resource) {
      Map<String, AttributeName> names = NAMES.get(resource);
      if (names == null) {
        names = new HashMap<>();
        for (String field : BuiltInKinds.labels(resource)) {
          if (!IN_THE_KEY.contains(field)) {
            names.put(field, AttributeNames.field(field));
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
  private static List<LabelRequirement> labelRequirements(String selector) {
    try {
      return LabelSelector.parse(selector).requirements();
    } catch (SelectorException e) {
      return List.of();
    }
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
    return keys.place(range) instanceof Place.Objects objects
        ? select(range, objects, labelSelector, fieldRequirements(fieldSelector))
        : new Selected(range, Filter.NONE);
  }

  private Selected select(
      KeyRange range, Place.Objects objects, String labels, List<FieldRequirement> fields) {
    Resource resource = objects.resource();
    List<Requirement> requirements = new ArrayList<>();
    // In this order: what was committed before and is not being learnt any more is known.
    boolean learning = changing.containsKey(resource);
    Known known = custom.get(resource);
    if (!learning && isAnsweredAsStored(resource, known)) {
      labelRequirements(labels).forEach(requirement -> requirements.add(label(requirement)));
      Map<String, AttributeName> names = names(resource, known);
      for (FieldRequirement requirement : fields) {
        AttributeName name = names.get(requirement.field());
        if (name != null) {
          requirements.add(field(name, requirement));
        }
      }
    }
    String name = value(NAME, fields);
    Bytes keyEnd = name.isEmpty() ? Bytes.EMPTY : Bytes.of("/" + name);
    // Objects of a namespace are together.
    String namespace = value(NAMESPACE, fields);
    KeyRange part =
        namespace.isEmpty() || !objects.namespace().isEmpty()
            ? range
            : range.intersect(keys.keys(resource, namespace));
    return new Selected(part, new Filter(requirements, keyEnd));
  }

  /**
   * Whether the labels and fields of stored objects are those that the API server looks at. Of a
   * custom resource that takes its definition.
   */
  private static boolean isAnsweredAsStored(Resource resource, @Nullable Known known) {
    return resource.group().isEmpty()
        || BuiltInKinds.WITH_A_GROUP.contains(resource)
        || (known != null && !known.definition.isConvertedByWebhook());
  }

  @Override
  public void settle(KeyRange range) throws InterruptedException {
    if (changing.isEmpty()
        || !(keys.place(range) instanceof Place.Objects(Resource resource, String _))
        || !changing.containsKey(resource)) {
      return;
    }
    long left = PATIENCE_NANOS;
    lock.lockInterruptibly();
    try {
      while (changing.containsKey(resource) && left > 0) {
        left = learnt.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void changing(Bytes key, long revision) {
    if (definitions.contains(key)) {
      Resource resource = defined(key);
      if (resource != null) {
        changing.put(resource, revision);
      }
    }
  }

  /** Says that all changes of definitions up to a revision are known. */
  void learnt(long revision) {
    lock.lock();
    try {
      changing.values().removeIf(changed -> changed <= revision);
      learnt.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** The custom resource that a definition with this key is of; null if it is none. */
  @Nullable Resource defined(Bytes key) {
    ObjectKey object = keys.parse(key);
    return object == null ? null : Resource.defined(object);
  }

  private static Requirement label(LabelRequirement requirement) {
    AttributeName name = AttributeNames.label(requirement.key());
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

  private static Requirement field(AttributeName name, FieldRequirement requirement) {
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
  Set<AttributeName> addedNames(Resource resource) {
    Known known = custom.get(resource);
    return known == null ? Set.of() : known.addedNames;
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
    kinds.define(resource, definition);
    generation.incrementAndGet();
  }

  /** The custom resources that are known. */
  Set<Resource> defined() {
    return Set.copyOf(custom.keySet());
  }

  /** The keys of the API server. */
  public KeySpace keys() {
    return keys;
  }

  /** The kinds that are known, by the same definitions. */
  public Kinds kinds() {
    return kinds;
  }
}
